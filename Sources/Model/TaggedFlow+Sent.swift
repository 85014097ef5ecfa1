extension TaggedFlow {
    /// The flow as it stands on the wire and as rows are made from it: `key` carries the real ends, the peers'
    /// `realIP` and `realPort` the captured ones. Source: agent-flow.md 16.4.
    ///
    /// Inside the agent it is the other way round (`key` = captured). Exactly one swap lies between the two: the wire
    /// encoder makes it, decoders hand out records that are swapped already, and the in-process hand-over calls this.
    /// An end without a real address (zero address and port) counts as equal to the captured one. Of an IPv6 captured
    /// end the wire keeps 32 bits, and only when it is IPv4-mapped or in `::/96`; this keeps the same, so that both
    /// ways give the same rows.
    package func asSent() -> TaggedFlow {
        var sent = self
        exchange(&sent.key.ipSrc, &sent.key.portSrc, &sent.src)
        exchange(&sent.key.ipDst, &sent.key.portDst, &sent.dst)
        return sent
    }

    private func exchange(_ ip: inout IPAddress, _ port: inout UInt16, _ peer: inout FlowMetricsPeer) {
        let captured = IPAddress(v4: isIPv6 ? ip.v4IfEmbedded : ip.v4)
        let capturedPort = port
        if !peer.realIP.isZero || peer.realPort != 0 {
            ip = peer.realIP
            port = peer.realPort
        }
        peer.realIP = captured
        peer.realPort = capturedPort
    }
}

extension IPAddress {
    /// The last 32 bits of an address in `::/96` or `::ffff:0:0/96`, else 0.
    @inlinable package var v4IfEmbedded: UInt32 { high == 0 && (low >> 32 == 0 || isMapped) ? v4 : 0 }
}
