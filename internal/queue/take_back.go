package queue

import (
	"context"
	"fmt"

	"backoffice/internal/postgres"
)

// takenBack counts the jobs of a dead process by what became of them.
type takenBack struct {
	Available int // run again, at once or one after the other
	Discarded int // died with their process too often
	Cancelled int // somebody had cancelled them while they ran
}

// A job that runs when its process dies may be the cause or a bystander. After the first crash all run
// again at once. From the second on they are suspects: they start one after the other, further apart with
// each crash, so that the cause comes to be alone; many suspects share five minutes. A job is discarded once it has crashed $2 times and was the only suspect of
// its process, or, so that every series ends, after twice as many crashes in any company.
const takeBackSQL = `
with /* queue.takeBack */ left_running as (
  select id, queue, attempted_at, metadata ? 'cancel_attempted_at' as cancelled
    from river_job
   where state = 'running'
     and attempted_by[array_upper(attempted_by, 1)] = $1
   order by id
     for update skip locked
), counted as (
  insert into job_crashes as crash (job_id, crash_count, last_crash_at, last_client_id)
  select id, 1, clock_timestamp(), $1
    from left_running
      on conflict (job_id) do update
     set crash_count = crash.crash_count + 1,
         last_crash_at = excluded.last_crash_at,
         last_client_id = excluded.last_client_id
  returning job_id, crash_count
), suspected as (
  select job_id, crash_count,
         count(*) filter (where crash_count >= 2) over () as suspects,
         count(*) filter (where crash_count >= 2) over (order by attempted_at desc, job_id) as turn,
         max(crash_count) over () as crashes
    from counted
    join left_running on id = job_id
), judged as (
  select l.id, l.queue, s.crash_count,
         (s.turn - 1) * least(interval '1 second' * 2 ^ least(s.crashes - 2, 5), interval '5 minutes' / greatest(s.suspects, 1)) as apart,
         case when l.cancelled then 'cancelled'
              when s.crash_count >= $2 and s.suspects = 1 or s.crash_count >= 2 * $2 then 'discarded'
              else 'available'
         end::river_job_state as state
    from left_running l
    join suspected s on s.job_id = l.id
), taken as (
  update river_job job
     set state = judged.state,
         attempt = case when judged.state = 'available' then greatest(job.attempt - 1, 0) else job.attempt end,
         finalized_at = case when judged.state <> 'available' then clock_timestamp() end,
         scheduled_at = case when judged.crash_count >= 2 then clock_timestamp() + judged.apart
                             else clock_timestamp()
                        end,
         errors = array_append(job.errors, jsonb_build_object(
           'at', clock_timestamp(),
           'attempt', job.attempt,
           'error', format('worker process %s died while it ran this job (crash %s%s)', $1::text, judged.crash_count,
                           case when judged.state = 'discarded' then ', the last allowed: the job may be the cause' else '' end),
           'trace', ''))
    from judged
   where job.id = judged.id
  returning job.queue, job.state
), told as (
  select count(pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)) as queues
    from (select distinct queue from taken where state = 'available') woken
)
select count(*) filter (where state = 'available'),
       count(*) filter (where state = 'discarded'),
       count(*) filter (where state = 'cancelled'),
       (select queues from told) -- so that it is carried out
  from taken`

// takeBack gives the running jobs of a dead process back to their queues: available at once with the
// attempt given back, an error entry that names the process, and the crash counted. Jobs whose rows are
// still locked are left for the next look.
func takeBack(ctx context.Context, db postgres.DB, clientID string, maxCrashRescues int) (takenBack, error) {
	var t takenBack
	var queues int
	err := db.QueryRow(ctx, takeBackSQL, clientID, maxCrashRescues).Scan(&t.Available, &t.Discarded, &t.Cancelled, &queues)
	if err != nil {
		return takenBack{}, fmt.Errorf("take back the jobs of %s: %w", clientID, err)
	}
	return t, nil
}
