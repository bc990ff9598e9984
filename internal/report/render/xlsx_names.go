package render

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"
)

// sheetNames are the names a file's sheets have already, in lower case: spreadsheets tell no cases apart.
type sheetNames map[string]bool

// take makes a sheet's name of a title: at most 31 characters, none of those that references need, and
// another than the sheets before have ("Lines", "Lines 2").
func (n sheetNames) take(title string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`[]:*?/\`, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(title, "?"))
	clean = strings.Trim(strings.Join(strings.Fields(clean), " "), "'")
	if clean == "" || strings.EqualFold(clean, "History") { // the latter is reserved
		clean += "Sheet"
	}
	name := shortName(clean, "")
	for next := 2; n[strings.ToLower(name)]; next++ {
		name = shortName(clean, fmt.Sprintf(" %d", next))
	}
	n[strings.ToLower(name)] = true
	return name
}

// shortName cuts a name so that it fits with its suffix.
func shortName(name, suffix string) string {
	units := utf16.Encode([]rune(name))
	for most := excelize.MaxSheetNameLength - len(suffix); len(units) > most; {
		runes := []rune(name)
		name = string(runes[:len(runes)-1])
		units = utf16.Encode([]rune(name))
	}
	return strings.TrimRight(name, " '") + suffix
}
