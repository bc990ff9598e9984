package importer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// money is a price or an amount in ten-thousandths, which is as fine as numeric(14,4) goes. A file has
// hundreds of thousands of prices: whole numbers cost a fraction of what decimals do, and are as exact.
type money int64

const (
	maxPriceDigits = 10   // before the point, in numeric(14,4)
	maxPricePlaces = 4    // behind it
	maxLineAmount  = 1e15 // the least quantity times unit price, in ten-thousandths, that order_lines refuses
)

// decimal is the same amount.
func (m money) decimal() decimal.Decimal { return decimal.New(int64(m), -maxPricePlaces) }

// String has four decimals, as Postgres prints numeric(14,4).
func (m money) String() string { return string(m.append(nil)) }

func (m money) append(text []byte) []byte {
	if m < 0 {
		text, m = append(text, '-'), -m
	}
	text = strconv.AppendInt(text, int64(m/1e4), 10)
	places := int64(m % 1e4)
	return append(text, '.', byte('0'+places/1000), byte('0'+places/100%10), byte('0'+places/10%10), byte('0'+places%10))
}

// times answers the amount of a line, and false where order_lines refuses it.
func (m money) times(quantity int) (money, bool) {
	price, count := max(m, -m), money(max(quantity, -quantity))
	if count > 0 && price > (maxLineAmount-1)/count {
		return 0, false
	}
	return m * money(quantity), true
}

// parsePrice accepts plain decimals only. An exponent is refused, because a few characters of it make
// a number of any size.
func parsePrice(text string) (money, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return 0, fmt.Errorf("unit_price is empty")
	}
	unsigned, negative := strings.CutPrefix(trimmed, "-")
	whole, places, _ := strings.Cut(unsigned, ".")
	if whole+places == "" || !onlyDigits(whole) || !onlyDigits(places) {
		return 0, fmt.Errorf("unit_price %q is not a decimal number", text)
	}
	whole, places = strings.TrimLeft(whole, "0"), strings.TrimRight(places, "0")
	if len(places) > maxPricePlaces {
		return 0, fmt.Errorf("unit_price %q has more than %d decimals", text, maxPricePlaces)
	}
	if len(whole) > maxPriceDigits {
		return 0, fmt.Errorf("unit_price %q is out of range; at most %d digits may stand before the point", text, maxPriceDigits)
	}
	price := money(0)
	for i := range len(whole) {
		price = 10*price + money(whole[i]-'0')
	}
	for i := range maxPricePlaces {
		price *= 10
		if i < len(places) {
			price += money(places[i] - '0')
		}
	}
	if negative {
		price = -price
	}
	return price, nil
}

func onlyDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
