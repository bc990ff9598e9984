//go:build ignore

// Command place_order places an order with a client that was generated from the OpenAPI document, and reads it
// back. docs/openapi.md tells how it is built and run.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("use: place_order URL, with the key in BACKOFFICE_API_KEY where one is needed")
	}
	if err := placeOrder(context.Background(), os.Args[1], os.Getenv("BACKOFFICE_API_KEY")); err != nil {
		log.Fatal(err)
	}
}

func placeOrder(ctx context.Context, url, key string) error {
	client, err := NewClientWithResponses(url, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		return nil
	}))
	if err != nil {
		return err
	}
	number, once := "G-1", "place-G-1" // the same key again places nothing again
	placed, err := client.PlaceOrderWithResponse(ctx, &PlaceOrderParams{IdempotencyKey: &once}, OrderRequest{
		Number: &number,
		Lines:  []LineRequest{{Sku: "TIN", Quantity: 2, UnitPrice: "3.20"}},
	})
	switch {
	case err != nil:
		return err
	case placed.JSON202 == nil:
		return fmt.Errorf("place order: %s: %s", placed.Status(), placed.Body)
	}
	told, err := client.GetOrderWithResponse(ctx, placed.JSON202.Id)
	switch {
	case err != nil:
		return err
	case told.JSON200 == nil:
		return fmt.Errorf("read order: %s: %s", told.Status(), told.Body)
	}
	story := told.JSON200
	fmt.Printf("order %d, number %s, is %s; it comes to %s %s\n", story.Order.Id, story.Order.Number, story.Order.Status, story.Amount, story.Order.Currency)

	refused, err := client.PlaceOrderWithResponse(ctx, nil, OrderRequest{Lines: []LineRequest{{Sku: "TIN", Quantity: 0, UnitPrice: "3.20"}}})
	switch {
	case err != nil:
		return err
	case refused.ApplicationproblemJSON422 == nil:
		return fmt.Errorf("place an order of nothing: %s", refused.Status())
	}
	fmt.Println("refused:", refused.ApplicationproblemJSON422.Detail)
	return nil
}
