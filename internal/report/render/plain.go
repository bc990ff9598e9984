package render

import (
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// appendPlain appends a value as programs read it: money with the decimals it has, instants as RFC 3339
// in UTC. The value fits its column and is not nil.
func appendPlain(line []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(line, v...)
	case int64:
		return strconv.AppendInt(line, v, 10)
	case decimal.Decimal:
		return append(line, v.String()...)
	case float64:
		return strconv.AppendFloat(line, v, 'f', -1, 64)
	case Day:
		return append(line, v.String()...)
	case time.Time:
		return v.UTC().AppendFormat(line, time.RFC3339Nano)
	}
	return fmt.Append(line, value)
}
