// Adds and removes single rights, one a line on standard input, and answers each line with `ok` or with what went wrong.
//
// Run from source by scripts/kafka rights: java Rights.java <bootstrap> <properties>. One process serves many lines, which
// kafka-acls, a process for each, would take minutes for. A line: add|remove <principal> topic|group <name> <operation>

import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.utils.SecurityUtils;

public class Rights {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        try (FileReader file = new FileReader(arguments[1])) {
            properties.load(file);
        }
        properties.put("bootstrap.servers", arguments[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        try (Admin admin = Admin.create(properties)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                try {
                    act(admin, line.split(" "));
                    System.out.println("ok");
                } catch (Exception e) {
                    System.out.println(String.valueOf(e).replace('\n', ' '));
                }
                System.out.flush();
            }
        }
    }

    private static void act(Admin admin, String[] words) throws Exception {
        ResourceType type = ResourceType.valueOf(words[2].toUpperCase(Locale.ROOT));
        AclBinding right = new AclBinding(
                new ResourcePattern(type, words[3], PatternType.LITERAL),
                new AccessControlEntry(words[1], "*", SecurityUtils.operation(words[4]), AclPermissionType.ALLOW));
        if (words[0].equals("add")) {
            admin.createAcls(List.of(right)).all().get(30, TimeUnit.SECONDS);
        } else if (admin.deleteAcls(List.of(right.toFilter())).all().get(30, TimeUnit.SECONDS).isEmpty()) {
            throw new IllegalArgumentException("there is no such right: " + String.join(" ", words));
        }
    }
}
