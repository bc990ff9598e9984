package verify

var cleanupChecks = []Check{
	{
		Name: "holds",
		What: "what is held is not being deleted, and no held artifact is gone",
		Of:   "hold",
		SQL:  holdsSQL,
	},
	{
		Name: "stored_objects",
		What: "an object in the database is whole: its chunks follow each other and come to its length, each but the last as long as the first",
		Of:   "object",
		SQL:  storedObjectsSQL,
	},
}

// A hold that plain SQL placed may name a row that never was. Of temp_files a row may go because its bytes
// became part of an artifact; an artifact goes by cleanup alone, which tells its report.
const holdsSQL = `
select format('%s %s', hold.target, hold.key) as key,
       case
         when coalesce(file.deleting_at, artifact.deleting_at) >= hold.placed_at
         then format('is held since %s, and being deleted since %s', hold.placed_at, coalesce(file.deleting_at, artifact.deleting_at))
         when hold.target = 'artifacts' and artifact.report_id is null and report.expired_at >= hold.placed_at
         then format('is held since %s, and was deleted at %s', hold.placed_at, report.expired_at)
       end as wrong
  from holds hold
  left join temp_files file on hold.target = 'temp_files' and file.id::text = hold.key
  left join artifacts artifact on hold.target = 'artifacts' and artifact.report_id::text = hold.key
  left join reports report on hold.target = 'artifacts' and report.id::text = hold.key`

// The length of a chunk is known without reading it: it is stored as it is.
const storedObjectsSQL = `
select coalesce(o.path, chunk.path) as key,
       case
         when o.path is null then 'has chunks, but does not exist'
         when coalesce(chunk.n, 0) <> coalesce(chunk.last + 1, 0) then format('has %s chunks, the last of them number %s', chunk.n, chunk.last)
         when coalesce(chunk.bytes, 0) <> o.bytes then format('is %s bytes long, but its chunks are %s', o.bytes, coalesce(chunk.bytes, 0))
         when chunk.lengths > 1 then 'has chunks of different lengths before the last'
       end as wrong
  from stored_objects o
  full join (select path, count(*) as n, max(number) as last, sum(length) as bytes,
                    count(distinct length) filter (where number < last_number) as lengths
               from (select path, n as number, octet_length(content) as length,
                            max(n) over (partition by path) as last_number
                       from stored_chunks) each
              group by path) chunk on chunk.path = o.path`
