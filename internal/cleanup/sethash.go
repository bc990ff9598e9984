package cleanup

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"
)

// setHash tells sets of rows apart whatever the order in which they are met: the sum of the first 128 bits
// of each row's sha256. Sums of parts add up to that of the whole, in SQL as well.
type setHash [3]uint64 // the lowest first

func (h *setHash) add(target, key string) {
	sum := sha256.Sum256([]byte(target + " " + key))
	var carry uint64
	h[0], carry = bits.Add64(h[0], binary.BigEndian.Uint64(sum[8:16]), 0)
	h[1], carry = bits.Add64(h[1], binary.BigEndian.Uint64(sum[:8]), carry)
	h[2] += carry
}

// String is the sum in decimals.
func (h setHash) String() string {
	sum := new(big.Int)
	for _, word := range []uint64{h[2], h[1], h[0]} {
		sum.Lsh(sum, 64).Or(sum, new(big.Int).SetUint64(word))
	}
	return sum.String()
}
