-- The next tick of a schedule is an instant: one beyond all others can neither be waited for nor shown, and
-- would keep every other schedule from being dispatched. A schedule that is never due is paused.

update schedules
   set paused_at = coalesce(paused_at, now()),
       next_run_at = now()
 where not isfinite(next_run_at);
alter table schedules add constraint schedules_next_run_at_check check (isfinite(next_run_at));
