-- A way to jobs of the kinds that a worker knows, past those of other kinds.
--
-- River's fetch walks its index in the order of the queue and looks at each job's kind in the table:
-- 100,000 jobs of a kind that this build does not know, left by another build at the head of the queue,
-- cost every fetch 14 ms of CPU, also one for a single job. No index helps that statement, because Postgres
-- (before 17) gives up the order of an index to search it for a list of kinds. And when the statistics were
-- gathered before the first job of a kind came, it sorts all of them: 300 to 800 ms a fetch at 300,000.
--
-- The index costs an insert one more entry (1,053 bytes of WAL for a job in place of 950) and a fetch or a
-- completion none: its predicate keeps out what does not wait.
create index river_job_available_kind on river_job (queue, kind, priority, scheduled_at, id) where state = 'available';

-- take_jobs fetches up to most jobs of a queue as River does, kind by kind through that index, and answers
-- their ids. Its plan does not depend on statistics: whatever else the planner could do is switched off, and
-- state is compared with a list of one, because River's fetching index, which would do as well by the
-- planner's estimate, has no order to offer for a list.
create schema if not exists backoffice;
grant usage on schema backoffice to public; -- what its functions may do, the rights on the tables say
create or replace function backoffice.take_jobs(of_queue text, known_kinds text[], most integer, taker text, takers_kept integer)
  returns setof bigint
  language plpgsql
  set enable_sort = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set jit = off
as $$
begin
  return query
  with head as (
    select job.id
      from unnest(known_kinds) known (kind)
     cross join lateral (
           select waiting.id, waiting.priority, waiting.scheduled_at
             from river_job waiting
            where waiting.state = any ('{available}')
              and waiting.queue = of_queue
              and waiting.kind = known.kind
              and waiting.scheduled_at <= now()
            order by waiting.priority, waiting.scheduled_at, waiting.id
            limit most
              for update skip locked) job
     order by job.priority, job.scheduled_at, job.id
     limit most
  )
  update river_job job
     set state = 'running',
         attempt = job.attempt + 1,
         attempted_at = now(),
         attempted_by = array_append(case when array_length(job.attempted_by, 1) >= takers_kept
                                          then job.attempted_by[array_length(job.attempted_by, 1) + 2 - takers_kept:]
                                          else job.attempted_by end, taker)
    from head
   where job.id = head.id
  returning job.id;
end
$$;
