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
