// Asks the brokers for their metadata until so many of them are in it, and a topic can be led: then they are ready.
//
// Run from source by scripts/kafka: java Ready.java <bootstrap> <brokers> <seconds> [<properties>]. Exit 0 when ready, 1 when not.

import java.io.FileReader;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;

public class Ready {
    public static void main(String[] arguments) throws Exception {
        int brokers = Integer.parseInt(arguments[1]);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.parseLong(arguments[2]));
        Properties properties = new Properties();
        if (arguments.length > 3) {
            try (FileReader file = new FileReader(arguments[3])) {
                properties.load(file);
            }
        }
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("request.timeout.ms", "2000");
        properties.put("default.api.timeout.ms", "3000");
        properties.put("reconnect.backoff.max.ms", "200");
        String last = "no answer";
        try (Admin admin = Admin.create(properties)) {
            while (System.nanoTime() < deadline) {
                try {
                    int known = admin.describeCluster().nodes().get(3, TimeUnit.SECONDS).size();
                    if (known >= brokers) {
                        System.exit(0);
                    }
                    last = known + " of " + brokers + " brokers";
                } catch (Exception e) {
                    last = String.valueOf(e.getMessage());
                }
                Thread.sleep(100);
            }
        }
        System.err.println(last);
        System.exit(1);
    }
}
