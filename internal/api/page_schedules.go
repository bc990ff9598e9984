package api

import (
	"fmt"
	"time"

	"backoffice/periodic"
)

const (
	shownSchedules = 100         // the others are named by a command
	overdueNotice  = time.Minute // by how much a schedule is late that a person should know of
)

type scheduleRow struct {
	periodic.Schedule
	Late bool
}

func (c *statusContent) showSchedules(found []periodic.Schedule) {
	if c.MoreSchedules = len(found) > shownSchedules; c.MoreSchedules {
		found = found[:shownSchedules]
	}
	for _, s := range found {
		c.Schedules = append(c.Schedules, scheduleRow{s, s.Overdue != nil && *s.Overdue > overdueNotice})
	}
}

// noticeSchedules says which schedules enqueue nothing though they should. Where no process is alive to
// dispatch, that has been said.
func (c *statusContent) noticeSchedules(alive bool) {
	for _, s := range c.Schedules {
		switch {
		case s.PausedAt != nil:
		case s.Error != "":
			c.Notices = append(c.Notices, fmt.Sprintf("Schedule %s cannot be enqueued; see Schedules.", s.Name))
		case alive && s.Late:
			c.Notices = append(c.Notices, fmt.Sprintf("Schedule %s is overdue by %s.", s.Name, span(*s.Overdue)))
		}
	}
}
