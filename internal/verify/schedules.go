package verify

var scheduleChecks = []Check{
	{
		Name: "schedule_ticks",
		What: "a tick is in the ledger once, and if it was enqueued it names its job",
		Of:   "tick",
		SQL:  scheduleTicksSQL,
	},
	{
		Name: "schedule_jobs",
		What: "each enqueued tick has a job of its own, and a skipped one names at most the unfinished job of a unique kind that kept its own out",
		Of:   "job",
		SQL:  scheduleJobsSQL,
	},
	{
		Name: "schedule_next",
		What: "the next tick of a schedule is not in the ledger already: nobody has set it back",
		Of:   "schedule",
		SQL:  scheduleNextSQL,
	},
	{
		Name: "schedule_due",
		What: "every tick that was due is in the ledger, and nothing else is: of the last 7 days before the next tick, since the schedule has its spec and timezone, except for pauses and what the ledger tells as one gap",
		Of:   "tick",
		Find: findDueTicks,
	},
}

const scheduleTicksSQL = `
select format('%s at %s', schedule, tick_at) as key,
       case
         when count(*) > 1 then format('is in the ledger %s times', count(*))
         when bool_or(outcome = 'enqueued' and job_id is null) then 'was enqueued, but names no job'
       end as wrong
  from schedule_runs
 group by schedule, tick_at`

// Of a job that retention has deleted nobody can tell whether it was unique.
const scheduleJobsSQL = `
select ran.job_id as key,
       case
         when ran.enqueued > 1 then format('serves %s ticks', ran.enqueued)
         when ran.skipped > 0 and job.id is not null and job.unique_key is null
         then format('of kind %s kept %s ticks from a job of their own, but is not unique', job.kind, ran.skipped)
       end as wrong
  from (select job_id,
               count(*) filter (where outcome = 'enqueued') as enqueued,
               count(*) filter (where outcome = 'skipped') as skipped
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
