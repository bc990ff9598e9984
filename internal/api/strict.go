package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxDepth  = 32                   // levels of JSON
	maxDigits = 100                  // characters of a number
	maxItems  = maxOrders + maxLines // of all lists of a body
)

// unmarshalStrict reads JSON. Into an any, which huma checks against the schema, it goes strictly: a key
// given twice, a NUL character, half a surrogate pair, an absurd number or depth is an error that begins
// with where it stands. Numbers become int64, or stay json.Number where they are no such integer, which
// no schema of ours takes.
func unmarshalStrict(data []byte, into any) error {
	parsed, ok := into.(*any)
	if !ok {
		return json.Unmarshal(data, into)
	}
	if halfSurrogate(data) {
		return errors.New("body: a \\u escape is half of a surrogate pair; write both halves")
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	var err error
	if *parsed, err = p.value("body", 0); err != nil {
		return err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: something follows the JSON value")
	}
	return nil
}

// parser walks JSON token by token.
type parser struct {
	dec   *json.Decoder
	items int // of all lists so far
}

func (p *parser) value(at string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: nested more than %d levels deep", shortened(at), maxDepth)
	}
	token, err := p.dec.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return p.object(at, depth)
		}
		return p.array(at, depth)
	case json.Number:
		if len(token) > maxDigits {
			return nil, fmt.Errorf("%s: a number of %d characters is too long", at, len(token))
		}
		if n, err := strconv.ParseInt(token.String(), 10, 64); err == nil {
			return n, nil
		}
		return token, nil
	case string:
		return token, checkString(at, token)
	}
	return token, nil
}

func (p *parser) object(at string, depth int) (any, error) {
	object := map[string]any{}
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		name, _ := token.(string) // the decoder lets nothing else stand here
		if err := checkString(at, name); err != nil {
			return nil, err
		}
		inner := at + "." + name
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%s: given twice", shortened(inner))
		}
		if object[name], err = p.value(inner, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.Token()
	return object, notJSON(err)
}

func (p *parser) array(at string, depth int) (any, error) {
	array := []any{}
	for p.dec.More() {
		if p.items++; p.items > maxItems {
			return nil, fmt.Errorf("%s: the lists of the body have more than %d items together; send less at once", shortened(at), maxItems)
		}
		item, err := p.value(at+"["+strconv.Itoa(len(array))+"]", depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	_, err := p.dec.Token()
	return array, notJSON(err)
}

func notJSON(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("body: the JSON ends too early")
	}
	return fmt.Errorf("body: not valid JSON: %w", err)
}

// checkString refuses what Postgres cannot store.
func checkString(at, text string) error {
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s: holds a NUL character; remove it", shortened(at))
	}
	return nil
}

// shortened keeps a location that a caller made up readable.
func shortened(at string) string {
	const longest = 200
	if len(at) > longest {
		return strings.ToValidUTF8(at[:longest], "") + "..."
	}
	return at
}

// halfSurrogate finds a \u escape that encoding/json would turn into a replacement character.
func halfSurrogate(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		switch first := escaped(data[i:]); {
		case first >= 0xDC00 && first <= 0xDFFF:
			return true
		case first >= 0xD800 && first <= 0xDBFF:
			rest := data[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if second := escaped(rest[1:]); second < 0xDC00 || second > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

// escaped is the number in the four hexadecimal digits after a u, -1 where there is none.
func escaped(data []byte) int64 {
	if len(data) < 5 {
		return -1
	}
	n, err := strconv.ParseInt(string(data[1:5]), 16, 32)
	if err != nil {
		return -1
	}
	return n
}
