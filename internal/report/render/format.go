package render

// Format is a way to write a document.
type Format string

// The formats.
const (
	FormatCSV   Format = "csv"
	FormatJSONL Format = "jsonl"
	FormatXLSX  Format = "xlsx"
	FormatPDF   Format = "pdf"
	FormatHTML  Format = "html"
)

// ContentType is what HTTP calls the format; empty for an unknown one.
func (f Format) ContentType() string {
	switch f {
	case FormatCSV:
		return "text/csv; charset=utf-8; header=present"
	case FormatJSONL:
		return "application/jsonl; charset=utf-8"
	case FormatXLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case FormatPDF:
		return "application/pdf"
	case FormatHTML:
		return "text/html; charset=utf-8"
	}
	return ""
}

// Extension ends the name of a file in the format, its dot included: ".csv".
func (f Format) Extension() string { return "." + string(f) }
