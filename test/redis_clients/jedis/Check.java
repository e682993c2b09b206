// SPDX-License-Identifier: Apache-2.0
// java Check check|count plain|cluster PORT...: what Jedis does with a cluster of ours.
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.Response;
import redis.clients.jedis.Transaction;
import redis.clients.jedis.UnifiedJedis;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.SetParams;

public class Check {
  static UnifiedJedis connect(String kind, String[] args) {
    Set<HostAndPort> nodes = new HashSet<>();
    for (int at = 2; at < args.length; at++) {
      nodes.add(new HostAndPort("127.0.0.1", Integer.parseInt(args[at])));
    }
    return kind.equals("plain")
        ? new JedisPooled("127.0.0.1", Integer.parseInt(args[2]))
        : new JedisCluster(nodes, 5000, 1);   // one attempt: a repeated INCR counts twice
  }

  static void expect(String what, Object got, Object wanted) {
    if (!String.valueOf(got).equals(String.valueOf(wanted))) {
      throw new AssertionError(what + ": got " + got + ", not " + wanted);
    }
  }

  static void check(UnifiedJedis client, int port) {
    expect("set", client.set("java:k", "v", SetParams.setParams().ex(100)), "OK");
    expect("get", client.get("java:k"), "v");
    expect("ttl", client.ttl("java:k") > 90, true);
    expect("setnx", client.setnx("java:k", "w"), 0);
    expect("mset", client.mset("{java}a", "1", "{java}b", "2"), "OK");
    expect("mget", client.mget("{java}a", "{java}c"), "[1, null]");
    expect("float", client.incrByFloat("java:f", 0.5), 0.5);
    for (int n = 0; n < 100; n++) {
      client.set("java:" + n, "" + n);
    }
    for (int n = 0; n < 100; n++) {
      expect("value", client.get("java:" + n), n);
    }
    try {
      client.lpush("l", "1");
      throw new AssertionError("LPUSH was answered");
    } catch (JedisDataException error) {
      expect("unknown command", error.getMessage().contains("unknown command"), true);
    }
    try (Jedis one = new Jedis("127.0.0.1", port)) {
      Pipeline pipeline = one.pipelined();
      Response<String> last = null;
      for (int n = 0; n < 100; n++) {
        pipeline.set("{java}p" + n, "" + n);
        last = pipeline.get("{java}p" + n);
      }
      pipeline.sync();
      expect("pipeline", last.get(), 99);
      one.watch("{java}n");
      Transaction transaction = one.multi();
      transaction.incr("{java}n");
      transaction.incr("{java}n");
      List<Object> done = transaction.exec();
      expect("transaction", done, "[1, 2]");
    }
    System.out.println("ok");
  }

  // Counts until its input ends, and says how often that was answered and how often nobody knows.
  static void count(UnifiedJedis client) throws Exception {
    long answered = 0;
    long unknown = 0;
    while (System.in.available() == 0) {
      try {
        client.incr("java:count");
        if (++answered == 100) {
          System.out.println("counting");
        }
      } catch (RuntimeException error) {
        String text = String.valueOf(error.getMessage());
        if (!text.startsWith("CLUSTERDOWN") && !text.startsWith("BUSY") && !text.startsWith("TIMEOUT")) {
          unknown++;
        }
        Thread.sleep(10);
      }
    }
    System.out.println(answered + " " + unknown);
  }

  public static void main(String[] args) throws Exception {
    try (UnifiedJedis client = connect(args[1], args)) {
      if (args[0].equals("check")) {
        check(client, Integer.parseInt(args[2]));
      } else {
        count(client);
      }
    }
    System.exit(0);
  }
}
