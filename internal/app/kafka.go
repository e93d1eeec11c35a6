package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

// kafkaOff is the value of BELFRY_KAFKA_LISTEN with which no client outside of the
// process reaches the embedded broker.
const kafkaOff = "off"

// mechanisms are the values of BELFRY_KAFKA_SASL.
var mechanisms = map[string]string{
	"plain":         bus.SASLPlain,
	"scram-sha-256": bus.SASLScram256,
	"scram-sha-512": bus.SASLScram512,
}

// checkKafka finds the faults of the settings of Kafka, for the cluster and for the embedded broker.
func (c *Config) checkKafka(fault func(format string, args ...any)) {
	if mechanisms[c.KafkaSASL] == "" {
		fault("BELFRY_KAFKA_SASL: %q must be plain, scram-sha-256 or scram-sha-512", c.KafkaSASL)
	}
	if c.KafkaTLS != "on" && c.KafkaTLS != "off" {
		fault("BELFRY_KAFKA_TLS: %q must be on or off", c.KafkaTLS)
	}
	if c.KafkaPassword != "" && c.KafkaPasswordFile != "" {
		fault("BELFRY_KAFKA_PASSWORD and BELFRY_KAFKA_PASSWORD_FILE are both set; set one of them")
	}
	if (c.KafkaUser == "") != (c.KafkaPassword == "" && c.KafkaPasswordFile == "") {
		fault("BELFRY_KAFKA_USER and BELFRY_KAFKA_PASSWORD (or BELFRY_KAFKA_PASSWORD_FILE) must be set together")
	}
	if (c.KafkaClientCert == "") != (c.KafkaClientKey == "") {
		fault("BELFRY_KAFKA_CLIENT_CERT and BELFRY_KAFKA_CLIENT_KEY must be set together")
	}
	if c.KafkaTLS == "off" && (c.KafkaCA != "" || c.KafkaClientCert != "") {
		fault("BELFRY_KAFKA_CA and BELFRY_KAFKA_CLIENT_CERT need BELFRY_KAFKA_TLS=on")
	}
	if c.KafkaTLS == "off" && c.KafkaUser != "" && c.KafkaSASL == "plain" {
		fault("BELFRY_KAFKA_SASL=plain sends the password in clear text, and needs BELFRY_KAFKA_TLS=on")
	}
	cluster := c.KafkaUser != "" || c.KafkaTLS == "on"
	if cluster && len(c.KafkaBrokers) == 0 {
		fault("BELFRY_KAFKA_USER and BELFRY_KAFKA_TLS are for an Apache Kafka cluster, and " +
			"BELFRY_KAFKA_BROKERS names none; the settings of the embedded broker are BELFRY_KAFKA_USERS_FILE and " +
			"BELFRY_KAFKA_LISTEN_CERT")
	}
	if (c.KafkaListenCert == "") != (c.KafkaListenKey == "") {
		fault("BELFRY_KAFKA_LISTEN_CERT and BELFRY_KAFKA_LISTEN_KEY must be set together")
	}
}

// kafkaCluster returns the connection to Apache Kafka. Its error names the setting.
func (c *Config) kafkaCluster() (bus.Cluster, error) {
	cluster := bus.Cluster{
		Brokers:  c.KafkaBrokers,
		User:     c.KafkaUser,
		Password: c.KafkaPassword,
		SASL:     mechanisms[c.KafkaSASL],
	}
	if c.KafkaPasswordFile != "" {
		text, err := os.ReadFile(c.KafkaPasswordFile)
		if err != nil {
			return cluster, fmt.Errorf("BELFRY_KAFKA_PASSWORD_FILE: %w", err)
		}
		if cluster.Password = strings.TrimRight(string(text), "\r\n"); cluster.Password == "" {
			return cluster, fmt.Errorf("BELFRY_KAFKA_PASSWORD_FILE: %s is empty", c.KafkaPasswordFile)
		}
	}
	if c.KafkaTLS != "on" {
		return cluster, nil
	}
	cluster.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.KafkaCA != "" {
		text, err := os.ReadFile(c.KafkaCA)
		if err != nil {
			return cluster, fmt.Errorf("BELFRY_KAFKA_CA: %w", err)
		}
		cluster.TLS.RootCAs = x509.NewCertPool()
		if !cluster.TLS.RootCAs.AppendCertsFromPEM(text) {
			return cluster, fmt.Errorf("BELFRY_KAFKA_CA: %s has no certificate in PEM", c.KafkaCA)
		}
	}
	if c.KafkaClientCert != "" {
		pair, err := tls.LoadX509KeyPair(c.KafkaClientCert, c.KafkaClientKey)
		if err != nil {
			return cluster, fmt.Errorf("BELFRY_KAFKA_CLIENT_CERT and BELFRY_KAFKA_CLIENT_KEY: %w", err)
		}
		cluster.TLS.Certificates = []tls.Certificate{pair}
	}
	return cluster, nil
}

// guestRights are the rights of a client that does not authenticate: it publishes to the on-ramps and reads the
// rejects.
func guestRights() (rights broker.Rights) {
	for _, t := range event.Topics {
		if t.FromProducts() {
			rights.Write = append(rights.Write, t.Name)
		}
		if t.ForTeams() {
			rights.Read = append(rights.Read, t.Name)
		}
	}
	return rights
}

// kafkaListener adds the settings of the listener for Kafka clients to those of the embedded broker.
func (c *Config) kafkaListener(cfg broker.Config) (broker.Config, error) {
	cfg.Guests = guestRights()
	if c.KafkaListen == kafkaOff {
		return cfg, nil
	}
	cfg.Listen = c.KafkaListen
	cfg.Advertise = c.KafkaAdvertise
	if c.KafkaListenCert != "" {
		pair, err := tls.LoadX509KeyPair(c.KafkaListenCert, c.KafkaListenKey)
		if err != nil {
			return cfg, fmt.Errorf("BELFRY_KAFKA_LISTEN_CERT and BELFRY_KAFKA_LISTEN_KEY: %w", err)
		}
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	var err error
	if c.KafkaUsersFile != "" {
		cfg.Users, err = kafkaUsers(c.KafkaUsersFile)
	}
	return cfg, err
}

// kafkaUsers reads the users of the embedded broker. Without rights of its own, a user has those of a guest; it never
// has more, because Belfry's own topics are not accessible.
func kafkaUsers(file string) ([]broker.User, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("BELFRY_KAFKA_USERS_FILE: %w", err)
	}
	var list []struct {
		Name     string   `yaml:"name"`
		Password string   `yaml:"password"`
		Write    []string `yaml:"write"`
		Read     []string `yaml:"read"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		// The error of the decoder may show a part of the file, and so a password.
		return nil, fmt.Errorf("BELFRY_KAFKA_USERS_FILE: %s must be a list in YAML of users, each with name, password "+
			"and, if need be, write and read (lists of topics)", file)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("BELFRY_KAFKA_USERS_FILE: %s names no user", file)
	}
	most := guestRights()
	var users []broker.User
	for _, u := range list {
		if slices.ContainsFunc(users, func(other broker.User) bool { return other.Name == u.Name }) {
			return nil, fmt.Errorf("BELFRY_KAFKA_USERS_FILE: there are two users %q", u.Name)
		}
		rights := broker.Rights{Write: u.Write, Read: u.Read}
		if u.Write == nil && u.Read == nil {
			rights = most
		}
		for _, check := range []struct {
			right           string
			topics, allowed []string
		}{
			{"write", rights.Write, most.Write},
			{"read", rights.Read, most.Read},
		} {
			for _, topic := range check.topics {
				if !slices.Contains(check.allowed, topic) {
					return nil, fmt.Errorf("BELFRY_KAFKA_USERS_FILE: user %q: %s: %q must be one of %s",
						u.Name, check.right, topic, strings.Join(check.allowed, ", "))
				}
			}
		}
		users = append(users, broker.User{Name: u.Name, Password: u.Password, Rights: rights})
	}
	return users, nil
}
