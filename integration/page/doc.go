// Package page tests the page in a real browser, in front of a simulated network.
package page
