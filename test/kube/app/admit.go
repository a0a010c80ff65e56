package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		UID       string `json:"uid"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"request,omitempty"`
	Response *verdict `json:"response,omitempty"`
}

type verdict struct {
	UID     string            `json:"uid"`
	Allowed bool              `json:"allowed"`
	Status  map[string]string `json:"status"`
}

// admit answers every AdmissionReview (admission.k8s.io/v1) with a refusal that names the object.
func admit(address, certificate, key string) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var asked review
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Request == nil {
			http.Error(w, "no AdmissionReview", http.StatusBadRequest)
			return
		}
		fmt.Printf("review of %s from %s\n", asked.Request.Name, r.RemoteAddr)
		why := fmt.Sprintf("the webhook refuses %s", asked.Request.Name)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(review{
			APIVersion: asked.APIVersion,
			Kind:       asked.Kind,
			Response:   &verdict{UID: asked.Request.UID, Allowed: false, Status: map[string]string{"message": why}},
		})
	})
	fmt.Println("listening on", address)
	fail(http.ListenAndServeTLS(address, certificate, key, nil))
}
