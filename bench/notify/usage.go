package main

import (
	"net/url"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
)

// usage is the CPU of the processes that a row needs, where they run on this machine.
type usage struct {
	server    time.Duration
	database  time.Duration // PostgreSQL
	broker    time.Duration // Apache Kafka
	generator time.Duration // this process: the alerts and the receivers
}

func (b *bench) usage() usage {
	u := usage{server: b.cpu(), generator: process.SelfCPU()}
	for _, pid := range process.Family(b.database) {
		u.database += process.CPU(pid)
	}
	if b.broker != 0 {
		u.broker = process.CPU(b.broker)
	}
	return u
}

func (u usage) since(v usage) usage {
	return usage{
		server:    u.server - v.server,
		database:  u.database - v.database,
		broker:    u.broker - v.broker,
		generator: u.generator - v.generator,
	}
}

// findEngines finds the processes of PostgreSQL and of the broker, where they run on this machine.
func (b *bench) findEngines(settings map[string]string) error {
	if b.engine != "postgres" {
		return nil
	}
	u, err := url.Parse(settings["BELFRY_DATABASE_URL"])
	if err != nil {
		return err
	}
	b.database = process.Listener(u.Host)
	b.broker = process.Listener(settings["BELFRY_KAFKA_BROKERS"])
	return nil
}
