// swift-format-ignore-file
/// Expected screens of `ScreenTests`.
enum Screens {
    static let flows80 = #"""
        dftop  1 Overview  2 Flows  3 L7  4 Metrics  5 Map  8 Meta  0 Self      22:13:20
        Flows  1,000, row 1
        CLIENT          SERVER          PROTO   RATE▼  BYTES    RTT  REQ ERR RTX STATE
        10.0.0.0:41000  192.168.1.1:80  HTTP  1.0MB/s  1.5MB 40.0ms    6   1     open
        10.0.0.249      192.168.1.0:80  TCP   999kB/s  1.5MB 40.0ms    5         open
        10.0.0.248      192.168.1.8:80  HTTP  998kB/s  1.5MB 39.9ms    4   2     open
        10.0.0.247      192.168.1.7:80  TCP   997kB/s  1.5MB 39.9ms    3   1     open
        10.0.0.246      192.168.1.6:80  HTTP  996kB/s  1.5MB 39.8ms    2         open
        10.0.0.245      192.168.1.5:80  TCP   995kB/s  1.5MB 39.8ms    1   2     open
        10.0.0.244      192.168.1.4:80  HTTP  994kB/s  1.5MB 39.8ms        1     open
        10.0.0.243      192.168.1.3:80  TCP   993kB/s  1.5MB 39.7ms    6         open
        10.0.0.242      192.168.1.2:80  HTTP  992kB/s  1.5MB 39.7ms    5   2     open
        10.0.0.241      192.168.1.1:80  TCP   991kB/s  1.5MB 39.6ms    4   1     open
        10.0.0.240      192.168.1.0:80  HTTP  990kB/s  1.5MB 39.6ms    3         open
        10.0.0.239      192.168.1.8:80  TCP   989kB/s  1.5MB 39.6ms    2   2     open
        10.0.0.238      192.168.1.7:80  HTTP  988kB/s  1.5MB 39.5ms    1   1     open
        10.0.0.237      192.168.1.6:80  TCP   987kB/s  1.5MB 39.5ms              open
        10.0.0.236      192.168.1.5:80  HTTP  986kB/s  1.5MB 39.4ms    6   2     open
        10.0.0.235      192.168.1.4:80  TCP   985kB/s  1.5MB 39.4ms    5   1     open
        10.0.0.234      192.168.1.3:80  HTTP  984kB/s  1.5MB 39.4ms    4         open
        10.0.0.233      192.168.1.2:80  TCP   983kB/s  1.5MB 39.3ms    3   2     open
        10.0.0.232      192.168.1.1:80  HTTP  982kB/s  1.5MB 39.3ms    2   1     open
        10.0.0.231      192.168.1.0:80  TCP   981kB/s  1.5MB 39.2ms    1         open
         LIVE   12k pkt/s 3.4MB/s  1.0k flows      / filter  s sort  Enter more  ? help
        """#

    static let flows200 = #"""
        dftop  1 Overview  2 Flows  3 L7  4 Metrics  5 Map  8 Meta  0 Self                                                                                                           node-7  2023-11-14 22:13:20
        Flows  1,000, row 1
        CLIENT           SERVER          PROTO   RATE▼ PKT/S  BYTES   SENT   RECV  PKTS    RTT    ART    SRT  REQ ERR    RRT RTX ZWIN STATE      AGE FROM   TO     POINT VLAN LAST SEEN
        10.0.0.0:41000   192.168.1.1:80  HTTP  1.0MB/s        1.5MB                     40.0ms                  6   1                 open
        10.0.0.249:40999 192.168.1.0:80  TCP   999kB/s        1.5MB                     40.0ms                  5                     open
        10.0.0.248:40998 192.168.1.8:80  HTTP  998kB/s        1.5MB                     39.9ms                  4   2                 open
        10.0.0.247:40997 192.168.1.7:80  TCP   997kB/s        1.5MB                     39.9ms                  3   1                 open
        10.0.0.246:40996 192.168.1.6:80  HTTP  996kB/s        1.5MB                     39.8ms                  2                     open
        10.0.0.245:40995 192.168.1.5:80  TCP   995kB/s        1.5MB                     39.8ms                  1   2                 open
        10.0.0.244:40994 192.168.1.4:80  HTTP  994kB/s        1.5MB                     39.8ms                      1                 open
        """#

    static let overview80 = #"""
        dftop  1 Overview  2 Flows  3 L7  4 Metrics  5 Map  8 Meta  0 Self      22:13:20
        Bytes/s 950kB/s             max 950kB/s  Requests/s 57                    max 57
              ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶        ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶
           ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿     ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿
        ⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿  ⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿
        Packets/s 1.9k                 max 1.9k  Response time 19.0ms         max 19.0ms
              ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶        ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶       ⢀⣤⣶
           ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿     ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿    ⣀⣴⣾⣿⣿⣿
        ⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿  ⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿⢀⣠⣴⣿⣿⣿⣿⣿⣿⣿
        Active flows 40                  max 40  Errors/s 2.0                    max 2.0
        ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿          ⢸         ⢸         ⢸         ⢸
        ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿          ⢸         ⢸         ⢸         ⢸
        ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿  ⣀⣀⣀⣀⣀⣀⣀⣀⢸⣀⣀⣀⣀⣀⣀⣀⣀⣀⢸⣀⣀⣀⣀⣀⣀⣀⣀⣀⢸⣀⣀⣀⣀⣀⣀⣀⣀⣀⢸
        ─ since the start: 1.2M packets  988MB  4.3k flows  9.9k requests  54 errors  ──
        Busiest services        REQ/S  ERR/S     RRT  Top talkers                   RATE
        nginx 10.0.0.2:80 HTTP     57    2.0  19.0ms  10.0.0.1                   2.5MB/s
        a-service-with-a-very…    0.4          250ms  fe80::1                    1.2kB/s






         LIVE   12k pkt/s 3.4MB/s  1.0k flows  eth0,lo                   ? help  q quit
        """#
}
