package verify

var scheduleChecks = []Check{
	{
		Name: "schedule_ticks",
		What: "a tick is in the ledger once; if it was enqueued it names its job, if it was skipped it names none",
		Of:   "tick",
		SQL:  scheduleTicksSQL,
	},
	{
		Name: "schedule_jobs",
		What: "each enqueued tick has a job of its own, except where the kind's jobs are unique",
		Of:   "job",
		SQL:  scheduleJobsSQL,
	},
	{
		Name: "schedule_next",
		What: "the next tick of a schedule is not in the ledger already, which would keep it from ever running again",
		Of:   "schedule",
		SQL:  scheduleNextSQL,
	},
}

const scheduleTicksSQL = `
select format('%s at %s', schedule, tick_at) as key,
       case
         when count(*) > 1 then format('is in the ledger %s times', count(*))
         when bool_or(outcome = 'enqueued' and job_id is null) then 'was enqueued, but names no job'
         when bool_or(outcome = 'skipped' and job_id is not null) then format('was skipped, but names job %s', min(job_id))
       end as wrong
  from schedule_runs
 group by schedule, tick_at`

// A tick that finds the unfinished job of a unique kind names that one. Of a job that retention has
// deleted nobody can tell whether it was unique.
const scheduleJobsSQL = `
select ran.job_id as key,
       case
         when ran.ticks > 1 and job.id is not null and job.unique_key is null
         then format('of kind %s serves %s ticks, but is not unique', job.kind, ran.ticks)
       end as wrong
  from (select job_id, count(*) as ticks
          from schedule_runs
         where job_id is not null
         group by job_id) ran
  left join river_job job on job.id = ran.job_id`

const scheduleNextSQL = `
select s.name as key,
       case when count(ran.tick_at) > 0 then format('is next due at %s, a tick that was settled before', s.next_run_at) end as wrong
  from schedules s
  left join schedule_runs ran on ran.schedule = s.name and ran.tick_at = s.next_run_at
 group by s.name, s.next_run_at`
