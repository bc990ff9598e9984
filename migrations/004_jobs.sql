-- What Backoffice adds to River's table.

-- From an order to its jobs: for people (inspect.orders, orders show), and for whoever raises stock,
-- which must not enqueue an order that has a live job. The text of the key is indexed, not a bigint:
-- a cast would refuse the insert of a job whose args are malformed, and such a job must fail alone.
create index river_job_order_id on river_job ((args ->> 'order_id')) where kind = 'process_order';
