package verify

var reportChecks = []Check{
	{
		Name: "report_artifacts",
		What: "a report has an artifact if and only if it is completed, until the artifact expires",
		Of:   "report",
		SQL:  reportArtifactsSQL,
	},
	{
		Name: "report_parts",
		What: "the parts of a report are numbered from 1 without a gap, together are what its manifest says, and are registered for cleanup until it is completed; a failed or cancelled report has none",
		Of:   "report",
		SQL:  reportPartsSQL,
	},
}

const reportArtifactsSQL = `
select coalesce(r.id, a.report_id) as key,
       case
         when r.id is null then 'does not exist, but has an artifact'
         when r.status = 'completed' and a.report_id is null and r.expired_at is null then 'is completed, but has no artifact'
         when r.status <> 'completed' and a.report_id is not null then format('is %s, but has an artifact', r.status)
         when a.report_id is not null and a.deleting_at is null and r.expired_at is not null then format('expired at %s, but its artifact is not being deleted', r.expired_at)
         when a.rows <> r.rows or a.bytes <> r.bytes then format('has %s rows in %s bytes, but its manifest says %s in %s', r.rows, r.bytes, a.rows, a.bytes)
       end as wrong
  from reports r
  full join artifacts a on a.report_id = r.id`

// Parts of a format that does not break between rows know no number of rows. Cleanup takes away the parts of
// an artifact that it deletes, and of one that lay unfinished for long.
const reportPartsSQL = `
select r.id as key,
       case
         when p.parts > 0 and r.status in ('failed', 'cancelled') then format('is %s, but has %s parts', r.status, p.parts)
         when p.parts > 0 and p.last_no <> p.parts then format('has %s parts, but the last is number %s', p.parts, p.last_no)
         when a.report_id is not null and a.deleting_at is null and a.parts <> coalesce(p.parts, 0)
         then format('has %s parts, but its manifest says %s', coalesce(p.parts, 0), a.parts)
         when a.report_id is not null and a.deleting_at is null and a.bytes <> coalesce(p.bytes, 0)
         then format('has parts of %s bytes, but its manifest says %s', coalesce(p.bytes, 0), a.bytes)
         when a.report_id is not null and a.deleting_at is null and p.counted = p.parts and a.rows <> p.rows
         then format('has parts of %s rows, but its manifest says %s', p.rows, a.rows)
         when r.status = 'completed' and p.registered > 0 then format('is completed, but %s of its parts are registered for cleanup', p.registered)
       end as wrong
  from reports r
  left join artifacts a on a.report_id = r.id
  left join (select part.report_id,
                    count(*) as parts,
                    max(part.part_no) as last_no,
                    sum(part.bytes) as bytes,
                    sum(part.rows) as rows,
                    count(part.rows) as counted,
                    count(f.id) as registered
               from artifact_parts part
               left join temp_files f on f.location = part.location
              group by part.report_id) p on p.report_id = r.id`
