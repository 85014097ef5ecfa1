extension TaggedFlow {
    /// The flow as its message on the wire reads, from which rows are made: `key` carries the real ends, the peers'
    /// `realIP` and `realPort` the captured ones. Source: agent-flow.md 16.4.
    ///
    /// A record in memory is always the other way round (`key` = captured ends), whether it was made by the flow table
    /// or read from the network: the wire encoder makes the exchange and the decoder undoes it. Makers of flows set
    /// the real ends of every flow, equal to the captured ones where no translation was seen.
    ///
    /// What the wire leaves out is left out here too, so that both ways give the same row: of a captured IPv6 end it
    /// keeps 32 bits, and only of an IPv4-mapped one or one in `::/96`; the address of an IPv4 flow is zero when one
    /// of its real ends is IPv6.
    public func asSent() -> TaggedFlow {
        var sent = self
        sent.src.realIP = IPAddress(v4: isIPv6 ? key.ipSrc.v4IfEmbedded : key.ipSrc.v4)
        sent.dst.realIP = IPAddress(v4: isIPv6 ? key.ipDst.v4IfEmbedded : key.ipDst.v4)
        sent.src.realPort = key.portSrc
        sent.dst.realPort = key.portDst
        let isMixed = !isIPv6 && (src.realIP.high | dst.realIP.high | (src.realIP.low | dst.realIP.low) >> 32) != 0
        sent.key.ipSrc = isMixed ? IPAddress() : src.realIP
        sent.key.ipDst = isMixed ? IPAddress() : dst.realIP
        sent.key.portSrc = src.realPort
        sent.key.portDst = dst.realPort
        return sent
    }
}

extension IPAddress {
    /// The last 32 bits of an address in `::/96` or `::ffff:0:0/96`, else 0.
    @inlinable public var v4IfEmbedded: UInt32 { high == 0 && (low >> 32 == 0 || isMapped) ? v4 : 0 }
}
