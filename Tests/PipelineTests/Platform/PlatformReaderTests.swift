import Glibc
import Model
import Testing

@testable import Pipeline

/// Parsers on text captured from kernels; the readers against a socket of our own.
@Suite struct PlatformReaderTests {
    private static let tcp = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
           1: 0202A8C0:D431 08080808:01BB 01 00000000:00000000 02:000A9B2C 00000000     0        0 4242 2 0000000000000000 20 4 30 10 -1
           2: broken line
           3: 0202A8C0:XXXX 08080808:01BB 01 00000000:00000000 02:000A9B2C 00000000     0        0 4242 2

        """
    private static let udp6 = """
          sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
         1027: B80D01200000000000000000010000FF:14E9 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   107        0 20022 2 0000000000000000 0
        """

    @Test func readsSocketTables() {
        let sockets = SocketReader.parse(Array(Self.tcp.utf8), proto: 6, isIPv6: false)
        #expect(sockets.count == 2)
        #expect(sockets[0].local.text(v6: false) == "127.0.0.1")
        #expect(sockets[0].localPort == 8080)
        #expect(sockets[0].isListening)
        #expect(sockets[0].uid == 1000)
        #expect(sockets[0].inode == 31337)
        #expect(sockets[1].remote.text(v6: false) == "8.8.8.8")
        #expect(sockets[1].remotePort == 443)
        #expect(!sockets[1].isListening)
        let six = SocketReader.parse(Array(Self.udp6.utf8), proto: 17, isIPv6: true)
        #expect(six.count == 1)
        #expect(six.first?.local.text(v6: true) == "2001:db8::ff00:1")
        #expect(six.first?.localPort == 5353)
        #expect(six.first?.isListening == true)
    }

    @Test func readsInterfaceCounters() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo: 1158206    8231    0    0    0     0          0         0  1158206    8231    0    0    0     0       0          0
            eth0.7:18446744073709551615 9 1 2 3 4 5 6 70 80 90 100 0 0 0 0
            """
        let found = InterfaceReader.counters(text)
        #expect(found.map(\.name) == ["lo", "eth0.7"])
        #expect(found[1].counters.rxBytes == .max)
        #expect(found[1].counters.txDropped == 100)
    }

    @Test func readsHostFacts() {
        var facts = HostFacts()
        HostReader.memory("MemTotal:       24562836 kB\nMemAvailable:   20000000 kB\nSwapFree: 5 kB\n", into: &facts)
        #expect(facts.memoryTotal == 24_562_836 * 1024)
        #expect(facts.swapFree == 5120)
        HostReader.load("0.52 0.58 0.59 3/602 29384", into: &facts)
        #expect(facts.load15 == 0.59)
        #expect(HostReader.uptime("350735.47 234388.90") == 350_735)
        #expect(HostReader.system("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n").hasPrefix("Debian"))
        HostReader.cpu("processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n", into: &facts)
        #expect(facts.cpuModel == "AMD EPYC")
    }

    @Test func readsProcessStatus() {
        let facts = ProcessReader.status(
            "Name:\tnginx: master\nPPid:\t1\nUid:\t33\t33\t33\t33\nVmRSS:\t  2048 kB\nThreads:\t4\n")
        #expect(facts.name == "nginx: master")
        #expect(facts.uid == 33)
        #expect(facts.memory == 2_097_152)
        #expect(facts.threads == 4)
        #expect(ProcessReader.inode(of: "socket:[77]") == 77)
        #expect(ProcessReader.inode(of: "pipe:[77]") == nil)
    }

    @Test func findsOurOwnSocket() throws {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port: UInt16 = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                guard bind(fd, name, size) == 0, listen(fd, 1) == 0, getsockname(fd, name, &size) == 0 else { return 0 }
                return name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    UInt16(bigEndian: $0.pointee.sin_port)
                }
            }
        }
        try #require(port != 0)
        var reader = ProcessReader()
        let snapshot = PlatformPoller.read(&reader)
        let own = try #require(snapshot.processes.first { $0.pid == getpid() })
        #expect(own.listening.contains("tcp/\(port)"))
        #expect(own.memory > 0 && !own.user.isEmpty)
        let loopback = try #require(snapshot.interfaces.first { $0.name == "lo" })
        #expect(loopback.addresses.contains("127.0.0.1/8"))
        #expect(snapshot.host.memoryTotal > 0 && !snapshot.host.kernel.isEmpty && snapshot.host.cpuCount > 0)
    }
}
