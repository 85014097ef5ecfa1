import Model

extension TunnelField {
    /// What the flow's source sent came through this tunnel.
    mutating func sent(_ tunnel: PacketTunnel) {
        txIP0 = tunnel.ipSrc
        txIP1 = tunnel.ipDst
        txMAC0 = tunnel.macSrc
        txMAC1 = tunnel.macDst
        txID = tunnel.id
    }

    /// What the flow's source received did.
    mutating func received(_ tunnel: PacketTunnel) {
        rxIP0 = tunnel.ipSrc
        rxIP1 = tunnel.ipDst
        rxMAC0 = tunnel.macSrc
        rxMAC1 = tunnel.macDst
        rxID = tunnel.id
    }

    /// The other end's view.
    var swapped: TunnelField {
        var other = self
        swap(&other.txIP0, &other.rxIP0)
        swap(&other.txIP1, &other.rxIP1)
        swap(&other.txMAC0, &other.rxMAC0)
        swap(&other.txMAC1, &other.rxMAC1)
        swap(&other.txID, &other.rxID)
        return other
    }
}
