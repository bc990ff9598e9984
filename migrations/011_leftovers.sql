-- What the policies reports and schedule-gaps find their rows by.
create index reports_finished_at on reports (finished_at, id);
create index schedule_gaps_at on schedule_gaps (at);
-- Those among which what dead attempts left behind is looked for.
create index reports_given_up on reports (id) where status in ('failed', 'cancelled');
-- The report that an object of temp_files belongs to, or belonged to.
create index temp_files_of_reports on temp_files (split_part(location, '/', 2))
 where location like 'postgres:reports/%' or location like 'file:reports/%';

-- Of runs of cleanup: how far the safety cap's check has come, and what was marked.
alter table cleanup_runs
  add column checked boolean not null default true, -- the safety cap lets it delete; those that are there were let before
  add column counted         bigint not null default 0, -- objects that the check has counted, up to the cursor
  add column counted_orphans bigint not null default 0, -- those of them that no row names
  add column marked_key      text; -- key of the last marked row looked at; null: the old rows come first
alter table cleanup_runs alter column checked set default false;

-- Postgres knows no instant as long ago as that: one policy would fail every cleanup. A longer age means the
-- same, that nothing is ever old.
update retention_policies set age = interval '2000 years' where age > interval '2000 years';
alter table retention_policies
  drop constraint retention_policies_age_check,
  add constraint retention_policies_age_check check (age between interval '0' and interval '2000 years');

-- How soon a schedule is tried again depends on what stood in its way.
alter table schedules add column retry_at timestamptz; -- not before; null: nothing stood in the way

-- No instant of the timetable may lie where programs cannot read it: one such row stopped all that read it with
-- others. What plain SQL has written there goes: no program had made use of it.
delete from schedule_runs where not (tick_at >= '0001-01-01 00:00Z' and tick_at < '10000-01-01 00:00Z');
delete from schedule_gaps where not (from_at >= '0001-01-01 00:00Z' and until_at < '10000-01-01 00:00Z');
update schedule_runs set at = now() where not (at >= '0001-01-01 00:00Z' and at < '10000-01-01 00:00Z');
update schedule_gaps set at = now() where not (at >= '0001-01-01 00:00Z' and at < '10000-01-01 00:00Z');
-- A schedule stays what it was meant to be: paused, long overdue, or due at no time that anybody lives to see.
update schedules
   set next_run_at = least(greatest(next_run_at, '0001-01-01 00:00Z'), '9999-12-31 23:59:59Z'),
       created_at = case when created_at >= '0001-01-01 00:00Z' and created_at < '10000-01-01 00:00Z' then created_at else now() end,
       changed_at = case when changed_at >= '0001-01-01 00:00Z' and changed_at < '10000-01-01 00:00Z' then changed_at else now() end,
       paused_at = case when paused_at >= '0001-01-01 00:00Z' and paused_at < '10000-01-01 00:00Z' then paused_at when paused_at is not null then now() end,
       last_error_at = case when last_error_at >= '0001-01-01 00:00Z' and last_error_at < '10000-01-01 00:00Z' then last_error_at end
 where least(next_run_at, created_at, changed_at, paused_at, last_error_at) < '0001-01-01 00:00Z'
    or greatest(next_run_at, created_at, changed_at, paused_at, last_error_at) >= '10000-01-01 00:00Z';

-- least and greatest pass over nulls.
alter table schedules
  drop constraint schedules_next_run_at_check, -- the next one says more
  add constraint schedules_instants_check check (
    least(next_run_at, created_at, changed_at, paused_at, last_error_at, retry_at) >= '0001-01-01 00:00Z' and
    greatest(next_run_at, created_at, changed_at, paused_at, last_error_at, retry_at) < '10000-01-01 00:00Z');
alter table schedule_runs
  add constraint schedule_runs_instants_check check (least(tick_at, at) >= '0001-01-01 00:00Z' and greatest(tick_at, at) < '10000-01-01 00:00Z');
alter table schedule_gaps
  add constraint schedule_gaps_instants_check check (least(from_at, at) >= '0001-01-01 00:00Z' and greatest(until_at, at) < '10000-01-01 00:00Z');
