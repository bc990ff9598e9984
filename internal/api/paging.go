package api

import (
	"net/url"
	"strconv"
)

// Page is how a list is asked for piece by piece. A page is asked for by what the one before ended with,
// so that rows added meanwhile neither shift nor repeat.
// (Exported like whatever is embedded in an input: huma reads no parameters from other fields.)
type Page struct {
	After int64 `query:"after" minimum:"1" doc:"The id that the page before ended with; left out: from the newest."`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many at most."`
}

// next is the address of the page after one that ended with id.
func (p Page) next(path string, id int64, filters ...string) (address, link string) {
	query := url.Values{"after": {strconv.FormatInt(id, 10)}, "limit": {strconv.Itoa(p.Limit)}}
	for i := 0; i+1 < len(filters); i += 2 {
		if filters[i+1] != "" {
			query.Set(filters[i], filters[i+1])
		}
	}
	address = path + "?" + query.Encode()
	return address, "<" + address + `>; rel="next"`
}
