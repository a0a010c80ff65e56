// Package gatewayapi compiles the conformance suite of the Gateway API, at the version that go.mod names, into a test program.
// Its flags are upstream's; main.ts builds and runs it against a cluster.
package gatewayapi

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}
