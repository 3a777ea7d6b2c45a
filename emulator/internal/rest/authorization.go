package rest

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

const (
	defaultTokenHours = 24
	maxTokenHours     = 365 * 24
)

// authorization issues bearer tokens, which clients also put into log view addresses, and
// answers the one security query that needs no permissions: whoami.
func (s *Service) authorization(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodPost || len(r.path) > 1 {
		return badMethod(r)
	}
	answer := securityQuery
	if r.has("sign_bearer_token") {
		answer = s.signToken
	}
	result, err := answer(w, r)
	if err != nil {
		return err
	}
	writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"Authorization"`
		Result  string
	}{Result: result})
	return nil
}

// signToken reads how long the token shall be good for. The policy beside it is not
// looked at: there are no permissions here.
func (s *Service) signToken(w http.ResponseWriter, r *request) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return "", refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	wanted := struct {
		Hours  json.Number     `json:"expires_in_hours"`
		Policy json.RawMessage `json:"policy"`
	}{Hours: json.Number(strconv.Itoa(defaultTokenHours))}
	if err := json.Unmarshal(body, &wanted); err != nil {
		return "", refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the request's body is not the expected JSON: %s", err)
	}
	hours, err := wanted.Hours.Int64()
	if err != nil || hours <= 0 || hours > maxTokenHours {
		return "", refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:expires_in_hours=%s is no number from 1 to %d", wanted.Hours, maxTokenHours)
	}
	return s.issue(r.Context(), s.now().Add(time.Duration(hours)*time.Hour))
}

func securityQuery(w http.ResponseWriter, r *request) (string, error) {
	var body struct {
		XMLName xml.Name `xml:"Authorization"`
		Query   string
		JSON    string `xml:"ResponseInJsonFormat"`
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return "", err
	}
	query := strings.TrimRight(strings.TrimSpace(body.Query), "; ")
	if !strings.EqualFold(query, "whoami") {
		return "", refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:the security command %q is not supported by this endpoint", query)
	}
	if !strings.EqualFold(body.JSON, "true") {
		return "Name: " + instance.Owner, nil
	}
	text, err := json.Marshal(map[string]string{"DisplayName": instance.Owner, "ID": ownerID})
	return string(text), err
}
