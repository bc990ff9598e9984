-- Of runs of cleanup that look for objects without a row: the stores that they go through. Null: no such run,
-- or one that was begun before.
alter table cleanup_runs add column stores text[];
