package bench

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

const (
	sampleSKUs         = 5_000
	sampleCustomers    = 3_000
	sampleCreditPrefix = "C"
)

// writeSampleCSV writes a file shaped like that of a real wholesaler: about 20 lines a document, some
// products in most documents, one guest in four, one credit in ten. It is the same at every call.
func writeSampleCSV(path string, documents int) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, out.Flush()) }()
	chance := rand.New(rand.NewPCG(1, 2))
	popular := rand.NewZipf(chance, 1.1, 8, sampleSKUs-1)
	began := time.Date(2025, time.January, 2, 8, 0, 0, 0, time.UTC)
	fmt.Fprintln(out, "number,sku,description,quantity,placed_at,unit_price,customer,country")
	for document := range documents {
		placedAt := began.Add(time.Duration(document) * 7 * time.Minute).Format("2006-01-02 15:04:05")
		number, customer, sign := fmt.Sprint(100_000+document), "", ""
		if chance.IntN(4) > 0 {
			customer = fmt.Sprint(10_000 + chance.IntN(sampleCustomers))
		}
		if chance.IntN(10) == 0 {
			number, sign = sampleCreditPrefix+number, "-"
		}
		for range 1 + chance.IntN(39) {
			sku := popular.Uint64()
			fmt.Fprintf(out, "%s,%05d,\"SAMPLE ARTICLE %d, ASSORTED\",%s%d,%s,%d.%02d,%s,United Kingdom\n",
				number, 20_000+sku, sku, sign, 1+chance.IntN(48), placedAt, chance.IntN(12), 5+chance.IntN(90), customer)
		}
	}
	return nil
}
