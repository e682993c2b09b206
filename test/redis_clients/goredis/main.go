// SPDX-License-Identifier: Apache-2.0

// goredis check|count plain|cluster PORT...: what go-redis does with a cluster of ours.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

func connect(kind string, ports []string) redis.UniversalClient {
	addresses := []string{}
	for _, port := range ports {
		addresses = append(addresses, "127.0.0.1:"+port)
	}
	if kind == "plain" {
		return redis.NewClient(&redis.Options{Addr: addresses[0], MaxRetries: -1})
	}
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, MaxRetries: -1, MaxRedirects: -1})
}

func expect(what string, got, wanted any) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		fmt.Fprintf(os.Stderr, "%s: got %v, not %v\n", what, got, wanted)
		os.Exit(1)
	}
}

func check(client redis.UniversalClient) {
	expect("set", client.Set(ctx, "go:k", "v", 100*time.Second).Err(), nil)
	expect("get", client.Get(ctx, "go:k").Val(), "v")
	expect("ttl", client.TTL(ctx, "go:k").Val() > 90*time.Second, true)
	expect("nil", errors.Is(client.Get(ctx, "go:none").Err(), redis.Nil), true)
	expect("setnx", client.SetNX(ctx, "go:k", "w", 0).Val(), false)
	expect("mset", client.MSet(ctx, "{go}a", 1, "{go}b", 2).Err(), nil)
	expect("mget", client.MGet(ctx, "{go}a", "{go}c").Val(), "[1 <nil>]")
	done, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "{go}n")
		pipe.IncrByFloat(ctx, "{go}f", 0.5)
		return nil
	})
	expect("transaction", err, nil)
	expect("in it", done[1].(*redis.FloatCmd).Val(), 0.5)
	err = client.Watch(ctx, func(tx *redis.Tx) error {
		client.Incr(ctx, "{go}n")
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			return pipe.Set(ctx, "{go}n", 9, 0).Err()
		})
		return err
	}, "{go}n")
	expect("watch", errors.Is(err, redis.TxFailedErr), true)
	_, err = client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for n := 0; n < 100; n++ {
			pipe.Set(ctx, fmt.Sprint("go:", n), n, 0)
		}
		return nil
	})
	expect("pipeline", err, nil)
	for n := 0; n < 100; n++ {
		expect("after it", client.Get(ctx, fmt.Sprint("go:", n)).Val(), n)
	}
	err = client.LPush(ctx, "l", 1).Err()
	expect("unknown command", strings.Contains(err.Error(), "unknown command"), true)
	fmt.Println("ok")
}

// Counts until its input ends, and says how often that was answered and how often nobody knows.
func count(client redis.UniversalClient) {
	var stop atomic.Bool
	go func() {
		bufio.NewReader(os.Stdin).ReadString(0)
		stop.Store(true)
	}()
	answered, unknown := 0, 0
	for !stop.Load() {
		err := client.Incr(ctx, "go:count").Err()
		if err == nil {
			answered++
			if answered == 100 {
				fmt.Println("counting")
			}
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "CLUSTERDOWN") && !strings.HasPrefix(text, "BUSY") &&
			!strings.HasPrefix(text, "TIMEOUT") {
			unknown++
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println(answered, unknown)
}

func main() {
	client := connect(os.Args[2], os.Args[3:])
	if os.Args[1] == "check" {
		check(client)
	} else {
		count(client)
	}
}
