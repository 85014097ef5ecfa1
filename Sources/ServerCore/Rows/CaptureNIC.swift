import Model

/// The parts of a tap port. Source: ingester.md 9 (tap_port layout).
struct CaptureNIC {
    let type: UInt64
    let natSource: UInt64
    let tunnelType: UInt64
    let id: UInt64

    /// `type` of spans.
    static let openTelemetry: UInt64 = 8

    init(tapPort: UInt64) {
        type = tapPort >> 60
        natSource = tapPort >> 36 & 15
        tunnelType = tapPort >> 32 & 15
        id = tapPort & 0xffff_ffff
    }

    /// Of protocol logs, which do not carry one of their own.
    var signalSource: UInt64 {
        switch type {
        case Self.openTelemetry: UInt64(SignalSource.otel.rawValue)
        case 7: UInt64(SignalSource.ebpf.rawValue)
        default: UInt64(SignalSource.packet.rawValue)
        }
    }
}

/// Text of a tap side; empty for values without a name.
@inline(__always)
func observationPoint(_ tapSide: UInt8) -> String { TapSide(rawValue: tapSide)?.text ?? "" }

/// Anomaly sums that the decoder derives. Source: ingester.md 4.3.
struct DerivedFlowCounts {
    let clientEstablishFail: UInt64
    let serverEstablishFail: UInt64
    let tcpEstablishFail: UInt64
    let tcpTransferFail: UInt64
    let tcpRstFail: UInt64

    init(_ meter: FlowMeter) {
        clientEstablishFail = meter.clientAckMiss &+ meter.clientSourcePortReuse &+ meter.clientEstablishReset
        serverEstablishFail =
            meter.serverSynMiss &+ meter.serverReset &+ meter.serverQueueLack &+ meter.serverEstablishReset
        tcpEstablishFail = clientEstablishFail &+ serverEstablishFail
        tcpTransferFail =
            meter.clientRstFlow &+ meter.serverRstFlow &+ meter.serverQueueLack &+ meter.tcpTimeout
        tcpRstFail =
            meter.clientEstablishReset &+ meter.serverEstablishReset &+ meter.serverReset &+ meter.clientRstFlow
            &+ meter.serverRstFlow
    }
}
