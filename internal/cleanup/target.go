package cleanup

import (
	"slices"
	"strings"
)

// target is a table whose rows are deleted when they are old. Its fields are SQL about the row t and are
// written here, never by a person or a program outside: they become part of statements.
type target struct {
	table string // as policies and holds name it
	key   string // text by which holds name the row and people know it
	age   string // the timestamptz that grows old
	tie   string // the key itself, of type tieType: orders rows of one age, so an index serves (age, tie)
	where string // what a row must be besides old

	tieType string // bigint or text

	// Of rows whose bytes lie in objects; tie is then the table's primary key, and deleting_at its mark.
	objects  bool
	bytes    string // of the row's objects
	location string // text[] of the objects
	parts    bool   // an object may be part of a report, which may need it
	marked   string // run when rows are marked or deleted; $1: their keys, a text[]
	deleted  string // run in the transaction that deletes rows; $1: their keys, a text[]
}

// targets is everything the program knows how to delete. A new one adds its line, and a policy.
var targets = []target{
	tempFiles,
	artifacts,
	reports,
	plain("idempotency_keys", "concat_ws(' ', t.api_key_id, t.route, t.key)", "t.created_at", "true"),
	plain("schedule_runs", "t.schedule || ' ' || t.tick_at::text", "t.at", "t.tick_at < (select max(later.tick_at) from schedule_runs later where later.schedule = t.schedule)"), // the last tick stays
	plain("schedule_gaps", "t.schedule || ' ' || t.from_at::text", "t.at", "true"),
	plain("cleanup_runs", "t.id::text", "t.started_at", "t.finished_at is not null"),
	plain("worker_processes", "t.client_id", "t.declared_dead_at",
		"not exists (select from river_job job where job.state = 'running' and job.attempted_by[array_upper(job.attempted_by, 1)] = t.client_id)"),
}

// plain is a target whose rows are all there is to delete.
func plain(table, key, age, where string) target {
	return target{table: table, key: key, age: age, tie: key, tieType: "text", where: where, bytes: "0", location: "'{}'::text[]"}
}

// Whether the report needs its part at a location: because it has been published, or because its parts are
// being written. Such a part is never old, whatever its age.
const partsSQL = `
select /* cleanup.Run */ part.location,
       (select count(*) from artifacts a where a.report_id = part.report_id) > 0
    or (select count(*) from reports r where r.id = part.report_id and r.status in ('queued', 'running')) > 0
  from artifact_parts part
 where part.location = any($1)`

var tempFiles = target{
	table: "temp_files", key: "t.id::text", age: "t.created_at", tie: "t.id", tieType: "bigint",
	where: "t.deleting_at is null",

	objects: true,
	// What is not known yet is known to the database at least of what lies in it.
	bytes:    "case when t.bytes > 0 then t.bytes else coalesce((select o.bytes from stored_objects o where o.path = substring(t.location from '^postgres:(.*)$')), 0) end",
	location: "array[t.location]",
	parts:    true,
}

var artifacts = target{
	table: "artifacts", key: "t.report_id::text", age: "t.expires_at", tie: "t.report_id", tieType: "bigint",
	where: "t.deleting_at is null",

	objects:  true,
	bytes:    "t.bytes",
	location: "array(select part.location from artifact_parts part where part.report_id = t.report_id order by part.part_no)",
	marked:   expireReportsSQL,
	deleted:  deletePartsOfSQL,
}

// A report stays as long as anything of it is stored, so a hold on its artifact keeps it, too, and one on an
// object of a report that failed, which only temp_files may name.
var reports = target{
	table: "reports", key: "t.id::text", age: "t.finished_at", tie: "t.id", tieType: "bigint",
	where: `not exists (select from artifacts a where a.report_id = t.id)
            and not exists (select from artifact_parts part where part.report_id = t.id)
            and not exists (select from temp_files f
                             where split_part(f.location, '/', 2) = t.id::text
                               and (f.location like 'postgres:reports/%' or f.location like 'file:reports/%'))`,
	bytes: "0", location: "'{}'::text[]",
}

// The parts of a report that failed are listed as long as their objects are there.
const deletePartsAtSQL = `
delete /* cleanup.Run */ from artifact_parts
 where location = any($1::text[])`

const deletePartsOfSQL = `
delete /* cleanup.Run */ from artifact_parts
 where report_id = any($1::text[]::bigint[])`

const expireReportsSQL = `
update /* cleanup.Run */ reports
   set expired_at = now()
 where id = any($1::text[]::bigint[])
   and expired_at is null`

// sql puts the target into a statement.
func (t target) sql(statement string) string {
	return strings.NewReplacer("{table}", t.table, "{key}", t.key, "{age}", t.age, "{tie}", t.tie, "{tieType}", t.tieType,
		"{where}", t.where, "{bytes}", t.bytes, "{location}", t.location).Replace(statement)
}

// first is a tie below every other.
func (t target) first() string {
	if t.tieType == "bigint" {
		return "-1"
	}
	return ""
}

func targetOf(table string) (target, error) {
	at := slices.IndexFunc(targets, func(t target) bool { return t.table == table })
	if at < 0 {
		return target{}, say(ErrInvalid, "target %q is none that this program deletes from; known are %s", table, strings.Join(targetNames(), ", "))
	}
	return targets[at], nil
}

func targetNames() []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.table
	}
	return names
}
