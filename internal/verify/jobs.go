package verify

var jobChecks = []Check{
	{
		Name: "job_states",
		What: "a job is finalized if and only if its state is final, one that runs says since when and where, and no job has more attempts than it may",
		Of:   "job",
		SQL:  jobStatesSQL,
	},
	{
		Name: "job_uniqueness",
		What: "of a unique job there is one at a time in the states that its kind declares",
		Of:   "unique job",
		SQL:  jobUniquenessSQL,
	},
	{
		Name: "job_crashes",
		What: "a job in job_crashes crashed at least once, and is there once",
		Of:   "job",
		SQL:  jobCrashesSQL,
	},
}

const jobStatesSQL = `
select id as key,
       case
         when state in ('completed', 'cancelled', 'discarded') and finalized_at is null then format('is %s, but not finalized', state)
         when state not in ('completed', 'cancelled', 'discarded') and finalized_at is not null then format('is %s, but was finalized at %s', state, finalized_at)
         when attempt not between 0 and max_attempts then format('has made %s of %s attempts', attempt, max_attempts)
         when state = 'running' and (attempt = 0 or attempted_at is null or coalesce(array_length(attempted_by, 1), 0) = 0)
         then 'is running, but its attempt, its start or its worker process is missing'
       end as wrong
  from river_job`

const jobUniquenessSQL = `
select min(id) as key,
       case when count(*) > 1
            then format('is not the only one of kind %s in its place: there are %s, job %s the last', min(kind), count(*), max(id)) end as wrong
  from river_job
 where unique_key is not null
   and unique_states is not null
   and river_job_state_in_bitmask(unique_states, state)
 group by unique_key`

const jobCrashesSQL = `
select job_id as key,
       case
         when count(*) > 1 then format('is in job_crashes %s times', count(*))
         when min(crash_count) < 1 then format('has a crash count of %s', min(crash_count))
       end as wrong
  from job_crashes
 group by job_id`
