import Model

/// Which machine an interface leads to: traffic is told by its MAC. Source: agent-flow.md 5.2.
package struct MachineMACs: Sendable, Equatable {
    /// `inputs.resources.private_cloud.vm_mac_source`.
    package enum Source: UInt8, Sendable {
        /// The interface's own.
        case interface = 0
        /// Made of its name.
        case name = 1
        /// Of libvirt, or of a script of the user's.
        case libvirt = 2
    }

    package var source = Source.interface
    /// What the platform knows of pods, by index of their interface here; goes before every source.
    package var learned: [Int32: UInt64] = [:]
    /// What libvirt or the script tells, by name.
    package var mapped: [String: UInt64] = [:]
    /// Low three bytes of machines that are not captured.
    package var excluded: Set<UInt32> = []

    package init() {}

    /// The interfaces with their machines, without those of excluded ones.
    /// - Parameter forwarding: what a bridge has learned at an interface, as `bridge fdb show dev` prints it.
    package func apply(
        to interfaces: [NetworkInterface], forwarding: (String) -> String = { _ in "" }
    ) -> [NetworkInterface] {
        interfaces.compactMap { interface in
            let mac = self.mac(of: interface, forwarding: forwarding)
            if !excluded.isEmpty, excluded.contains(UInt32(mac & 0xff_ffff)) { return nil }
            var known = interface
            known.machineMAC = mac == interface.mac ? nil : mac
            return known
        }
    }

    func mac(of interface: NetworkInterface, forwarding: (String) -> String = { _ in "" }) -> UInt64 {
        if let mac = learned[interface.index] { return mac }
        switch source {
        case .interface: return interface.mac
        case .name: return MachineMACs.mac(ofName: interface.name, forwarding: forwarding) ?? interface.mac
        case .libvirt: return mapped[interface.name] ?? interface.mac
        }
    }

    // MARK: - Texts

    /// nil for a name that says nothing of a MAC.
    static func mac(ofName name: String, forwarding: (String) -> String) -> UInt64? {
        let bytes = Array(name.utf8)
        if bytes.count == 14, name.hasPrefix("tap"), bytes[11] == UInt8(ascii: "-"), isLowerHex(bytes[3..<11]),
            isLowerHex(bytes[12...])
        {
            return number(bytes[3..<11]) << 8 | number(bytes[12...])
        }
        if bytes.count >= 8, isLowerHex(bytes[..<8]) { return number(bytes[..<8]) }
        if isNumbered(bytes) { return bridged(forwarding(name)) }
        if bytes.count == 13, name.hasPrefix("veth_"), bytes[5...].allSatisfy({ digit($0) != nil }) {
            return number(bytes[5..<11])
        }
        return nil
    }

    /// Letters and digits, `_`, and one to three digits.
    private static func isNumbered(_ name: [UInt8]) -> Bool {
        guard let at = name.lastIndex(of: UInt8(ascii: "_")), at > 0, (1...3).contains(name.count - at - 1) else {
            return false
        }
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        let isLetter = { (byte: UInt8) in (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
        return name[(at + 1)...].allSatisfy(isDigit) && name[..<at].allSatisfy { isDigit($0) || isLetter($0) }
    }

    /// The first machine's among the addresses that a bridge has learned.
    static func bridged(_ text: String) -> UInt64? {
        text.split(separator: "\n").first { $0.hasPrefix("52:54:9b") }.flatMap { line in
            line.split(separator: " ").first.flatMap { mac(String($0)) }
        }
    }

    /// Of a mapping script: `name,mac` a line; what is none is left out.
    package static func mapping(_ text: String) -> [String: UInt64] {
        text.split(whereSeparator: \.isNewline).reduce(into: [:]) { map, line in
            let cells = line.split(separator: ",", maxSplits: 1)
            guard cells.count == 2, let mac = Self.mac(cells[1].filter { !$0.isWhitespace }) else { return }
            map[String(cells[0])] = mac
        }
    }

    /// Six bytes in hexadecimal with colons.
    static func mac(_ text: String) -> UInt64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { digit($0) != nil } })
        else { return nil }
        return parts.reduce(0) { $0 << 8 | number(Array($1.utf8)[...]) }
    }

    private static func isLowerHex(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { digit($0) != nil && !(UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64 {
        digits.reduce(0) { $0 << 4 | UInt64(digit($1) ?? 0) }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
