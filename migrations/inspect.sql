-- Views for people: what is waiting, running, failing, and what became of an order. Every migrate drops
-- and rebuilds them, so they never stand in the way of a change to the tables below.
--
-- They stay cheap at millions of rows: whatever counts jobs reads at most 10,001 of them by an index
-- and then says "10,000+", or "123+" where the rows it read hold only 123 of that sort and there may
-- be more. inspect.jobs and inspect.orders look everything up per row: ask for one id, or for the
-- newest by `order by id desc limit 20`.

create schema if not exists inspect;

comment on schema inspect is 'Views for people; rebuilt by every backoffice migrate up.';

-- The queues are found by skipping through River's fetching index (state, queue, ...), one probe per
-- queue and state; a distinct over the table would read it all.
create view inspect.queues as
with recursive probes (state, queue) as (
  select unfinished.state,
         (select min(job.queue) from river_job job where job.state = unfinished.state)
    from unnest('{available,pending,retryable,running,scheduled}'::river_job_state[]) as unfinished (state)
  union all
  select probes.state,
         (select min(job.queue) from river_job job where job.state = probes.state and job.queue > probes.queue)
    from probes
   where probes.queue is not null
),
names as (
  select queue from probes where queue is not null
  union
  select name from river_queue
),
-- The newest finished jobs of each final state. No index leads from a queue to them, so one sample
-- serves all queues; span is the time it covers.
finished as (
  select sample.queue, sample.finalized_at,
         count(*) over final > 10000 as cut,
         case when count(*) over final > 10000 then now() - min(sample.finalized_at) over final
              else interval '1 hour'
         end as span
    from unnest('{completed,cancelled,discarded}'::river_job_state[]) as final_states (state)
   cross join lateral (
         select job.state, job.queue, job.finalized_at
           from river_job job
          where job.state = final_states.state
            and job.finalized_at > now() - interval '1 hour'
          order by job.finalized_at desc
          limit 10001) sample
  window final as (partition by sample.state)
),
rates as (
  select queue, count(*) as finished,
         round(sum(60 / extract(epoch from greatest(least(span, interval '1 minute'), interval '1 millisecond')))
               filter (where finalized_at > now() - interval '1 minute'), 1) as per_minute
    from finished
   group by queue
)
select names.queue, counts.available, counts.running, counts.retryable, counts.scheduled,
       case when oldest.scheduled_at is not null
            then date_trunc('second', greatest(now() - oldest.scheduled_at, interval '0'))
       end as oldest_available_age,
       to_char(coalesce(rates.finished, 0), 'FM999,999,990') || case when exists (select from finished where cut) then '+' else '' end
         as finished_last_hour,
       coalesce(rates.per_minute, 0) as finished_per_minute, -- now: of the last minute, or of the newest 10,001
       paused.paused_at
  from names
 cross join lateral (
       select max(shown) filter (where state = 'available') as available,
              max(shown) filter (where state = 'running') as running,
              max(shown) filter (where state = 'retryable') as retryable,
              max(shown) filter (where state = 'scheduled') as scheduled
         from unnest('{available,running,retryable,scheduled}'::river_job_state[]) as states (state)
        cross join lateral ( -- ordered like the index, which makes the planner stop there instead of reading all
              select case when count(*) > 10000 then '10,000+' else count(*)::text end as shown
                from (select
                        from river_job job
                       where job.state = states.state
                         and job.queue = names.queue
                       order by job.priority, job.scheduled_at, job.id
                       limit 10001) first) counted) counts
 cross join lateral ( -- by priority, because the index is ordered by it before scheduled_at
       select min(first.scheduled_at) as scheduled_at
         from unnest('{1,2,3,4}'::smallint[]) as levels (level)
        cross join lateral (
              select job.scheduled_at
                from river_job job
               where job.state = 'available'
                 and job.queue = names.queue
                 and job.priority = levels.level
               order by job.scheduled_at
               limit 1) first) oldest
  left join rates using (queue)
  left join river_queue paused on paused.name = names.queue
 order by names.queue;

comment on view inspect.queues is 'What waits and runs in each queue, since when, and how fast it drains.';

create view inspect.jobs as
select job.id, job.kind, job.queue, job.state, job.attempt, job.max_attempts,
       job.args ->> 'order_id' as order_id, -- text, as indexed: where kind = 'process_order' and order_id = '123'
       job.scheduled_at, job.attempted_at, job.finalized_at as finished_at,
       date_trunc('milliseconds', case
         when job.state = 'available' then greatest(now() - job.scheduled_at, interval '0')
         when job.state in ('running', 'completed', 'cancelled', 'discarded')
          and job.attempted_at >= job.scheduled_at then job.attempted_at - job.scheduled_at
       end) as wait,
       date_trunc('milliseconds', case -- null for a job cancelled from outside: it may have been waiting
         when job.state = 'running' then now() - job.attempted_at
         when job.state in ('completed', 'discarded') then job.finalized_at - job.attempted_at
         when job.state = 'cancelled' and not job.metadata ? 'cancel_attempted_at' then job.finalized_at - job.attempted_at
       end) as run,
       left(split_part(job.errors[array_upper(job.errors, 1)] ->> 'error', e'\n', 1), 200) as last_error,
       job.attempted_by[array_upper(job.attempted_by, 1)] as worker,
       job.priority, job.created_at
  from river_job job;

comment on view inspect.jobs is 'One row per job: its state, how long it waited and ran, its last error, its worker process.';

-- Jobs that failed in the same way are one row: numbers and quoted values are left out of the comparison.
-- A job whose next attempt is due within five seconds is available already, and not among them.
create view inspect.failures as
with failed as (
  (select job.id, job.kind, job.state, job.errors, job.scheduled_at, job.finalized_at
     from river_job job
    where job.state = 'discarded'
    order by job.finalized_at desc
    limit 10001)
  union all
  (select job.id, job.kind, job.state, job.errors, job.scheduled_at, job.finalized_at
     from river_job job
    where job.state = 'retryable'
    limit 10001)
),
causes as (
  select failed.id, failed.kind, failed.state,
         case when failed.state = 'retryable' then failed.scheduled_at end as next_attempt_at,
         coalesce((last.entry ->> 'at')::timestamptz, failed.finalized_at) as failed_at,
         coalesce(left(split_part(last.entry ->> 'error', e'\n', 1), 300), 'no error recorded') as error,
         count(*) over (partition by failed.state) > 10000 as cut
    from failed
   cross join lateral (select failed.errors[array_upper(failed.errors, 1)] as entry) last
),
ranked as (
  select causes.*, pattern,
         row_number() over (partition by kind, state, pattern order by failed_at desc nulls last, id desc) as nth
    from causes
   cross join lateral regexp_replace(error, '"[^"]*"|[0-9]+', '?', 'g') as pattern
)
select kind, state,
       to_char(least(count(*), 10000), 'FM999,999,990') || case when bool_or(cut) then '+' else '' end as jobs,
       max(error) filter (where nth = 1) as last_error,
       max(failed_at) as last_failed_at,
       min(next_attempt_at) as next_attempt_at,
       json_agg(id order by nth) filter (where nth <= 5) as sample_job_ids,
       'backoffice jobs retry ' || string_agg(id::text, ' ' order by nth) filter (where nth <= 5) as retry_with
  from ranked
 group by kind, state, pattern
 order by state = 'discarded' desc, max(failed_at) desc nulls last;

comment on view inspect.failures is 'Why jobs fail, by kind and cause: given up (discarded) or waiting to retry, and what to type.';

create view inspect.orders as
select orders.id, orders.number, orders.kind, orders.status, orders.reason, orders.placed_at,
       (select customer.number from customers customer where customer.id = orders.customer_id) as customer,
       orders.country,
       (select trim_scale(coalesce(sum(line.quantity * line.unit_price), 0))
          from order_lines line
         where line.order_id = orders.id
           and line.line_kind in ('item', 'adjustment')) as amount,
       orders.currency,
       job.id as job_id, job.state as job_state, job.attempt,
       left(split_part(job.errors[array_upper(job.errors, 1)] ->> 'error', e'\n', 1), 200) as last_error,
       (select string_agg(effect.effect, ', ' order by effect.effect)
          from order_effects effect
         where effect.order_id = orders.id) as effects,
       (select string_agg(format('%s: %s needed, %s on hand', need.sku, need.needed, product.on_hand), '; ' order by need.sku)
          from order_waits need
          left join products product using (sku)
         where need.order_id = orders.id) as waits_for,
       orders.enqueued
  from orders
  left join lateral (
       -- The newest job of the order. Without offset 0 the planner might walk the primary key
       -- backwards in the hope of meeting it soon.
       select mine.id, mine.state, mine.attempt, mine.errors
         from (select id, state, attempt, errors
                 from river_job
                where kind = 'process_order'
                  and args ->> 'order_id' = orders.id::text
               offset 0) mine
        order by mine.id desc
        limit 1) job on true;

comment on view inspect.orders is 'One row per order: status and reason, amount, newest job, effects, and what it waits for.';

create view inspect.schedules as
select schedule.name, schedule.kind, schedule.spec, schedule.timezone,
       case when schedule.paused_at is null then schedule.next_run_at end as next_run_at,
       date_trunc('second', case when schedule.paused_at is null and schedule.next_run_at < now()
                                 then now() - schedule.next_run_at end) as overdue,
       latest.tick_at as last_tick_at, latest.outcome as last_outcome,
       latest.job_id as last_job_id,
       (select job.state from river_job job where job.id = latest.job_id) as last_job_state, -- null: deleted after its retention
       (select count(*)
          from (select
                  from schedule_runs ran
                 where ran.schedule = schedule.name
                   and ran.outcome = 'skipped'
                   and ran.job_id is null
                   and ran.tick_at > now() - interval '7 days'
                 limit 1000) first)::integer as missed, -- of the last 7 days, and not caught up; 1000 is 1000 or more
       schedule.paused_at, schedule.last_error, schedule.last_error_at,
       schedule.catch_up, extract(epoch from schedule.jitter)::integer as jitter_seconds, schedule.args, schedule.built_in
  from schedules schedule
  left join lateral (
       select ran.tick_at, ran.outcome, ran.job_id
         from schedule_runs ran
        where ran.schedule = schedule.name
        order by ran.tick_at desc
        limit 1) latest on true
 order by schedule.name;

comment on view inspect.schedules is 'The timetable: when each schedule runs next, what became of its last tick, what it missed, and why it cannot run.';

-- A process holds an advisory lock for as long as one connection of its own lives; pg_locks shows the
-- key as two halves of 32 bits. Who beats is well; who does not is judged by the lock: still held, the
-- process is there and stands still (a stopped process, a host that swaps). Ages are of this moment:
-- now() would stand still in the transaction of somebody who looks again and again.
create view inspect.workers as
with held as materialized (
  select classid, objid
    from pg_locks
   where locktype = 'advisory'
     and objsubid = 1
     and granted
     and database = (select oid from pg_database where datname = current_database())
),
running as (
  select attempted_by[array_upper(attempted_by, 1)] as client_id, count(*) as jobs
    from river_job
   where state = 'running'
   group by 1
),
crashed as (
  select last_client_id as client_id, count(*) as jobs
    from job_crashes
   group by 1
)
select process.client_id,
       case
         when process.declared_dead_at is not null then 'dead'
         when beat.age > process.dead_after and not process.poll_only and exists (
              select
                from held
               where held.classid::bigint = (lock.key >> 32) & 4294967295
                 and held.objid::bigint = lock.key & 4294967295) then 'frozen'
         when beat.age > process.dead_after then 'silent'
         when process.stopping_at is not null then 'stopping'
         else 'alive'
       end as condition,
       process.host, process.pid, process.version, to_json(process.queues) as queues,
       coalesce(running.jobs, 0) as running_jobs,
       date_trunc('milliseconds', beat.age) as last_beat_age,
       process.started_at, process.stopping_at, process.declared_dead_at,
       coalesce(crashed.jobs, 0) as crashed_jobs -- whose latest crash was the death of this process
  from worker_processes process
 cross join lateral (select greatest(statement_timestamp() - process.beat_at, interval '0') as age) beat
 cross join lateral (select hashtextextended('backoffice worker ' || process.client_id, 0) as key) lock
  left join running using (client_id)
  left join crashed using (client_id)
 order by process.started_at desc, process.client_id;

comment on view inspect.workers is 'One row per worker process: alive, stopping, frozen, silent or dead, and what it works.';

create view inspect.cleanup as
select policy.name as policy, policy.target, policy.age, policy.enabled,
       case
         when run.id is null then null
         when run.refused then 'refused'
         when run.finished_at is not null then 'finished'
         when job.state = 'running' then 'at work'
         when job.state in ('available', 'scheduled', 'retryable') then 'goes on'
         else 'broke off' -- the next run finishes what it marked
       end as last_run,
       run.started_at as last_started_at,
       date_trunc('milliseconds', coalesce(run.finished_at, now()) - run.started_at) as took,
       run.rows as deleted_rows, run.bytes as deleted_bytes, run.held, run.errors,
       left(run.error, 200) as error,
       (select count(*) from holds hold where hold.target = policy.target) as holds,
       last_dry.started_at as last_dry_run_at,
       run.id as run_id, run.job_id
  from retention_policies policy
  left join lateral (
       select latest.*
         from cleanup_runs latest
        where latest.policy = policy.name
          and not latest.dry_run
        order by latest.id desc
        limit 1) run on true
  left join river_job job on job.id = run.job_id
  left join lateral (
       select latest.started_at
         from cleanup_runs latest
        where latest.policy = policy.name
          and latest.dry_run
        order by latest.id desc
        limit 1) last_dry on true
 order by policy.name;

comment on view inspect.cleanup is 'One row per retention policy: what its last run deleted, kept and could not delete.';

create view inspect.reports as
select report.id, report.type, report.format, report.params, report.status,
       case when report.status = 'running' then to_char(least(floor(report.done * 100), 99), 'FM990') || '%' end as done,
       report.rows, pg_size_pretty(report.bytes) as size,
       report.requested_at,
       date_trunc('milliseconds', coalesce(report.started_at, report.finished_at, now()) - report.requested_at) as wait,
       date_trunc('milliseconds', coalesce(report.finished_at, now()) - report.started_at) as run,
       date_trunc('second', case when report.status = 'running' and report.done > 0
                                 then (now() - report.started_at) * ((1 - report.done) / report.done) end) as time_left,
       left(report.error, 200) as error,
       report.job_id, job.state as job_state, job.attempt, -- null: deleted after its retention
       artifact.file_name, artifact.parts, artifact.expires_at,
       coalesce(report.expired_at, artifact.deleting_at) as expired_at
  from reports report
  left join river_job job on job.id = report.job_id
  left join artifacts artifact on artifact.report_id = report.id;

comment on view inspect.reports is 'One row per report: its progress, its job, why it failed, and until when its artifact is kept.';
