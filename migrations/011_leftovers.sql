-- What the policies reports and schedule-gaps find their rows by.
create index reports_finished_at on reports (finished_at, id);
create index schedule_gaps_at on schedule_gaps (at);
-- Those among which what dead attempts left behind is looked for.
create index reports_given_up on reports (id) where status in ('failed', 'cancelled');
