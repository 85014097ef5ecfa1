import Capture
import Model

/// What a dispatcher reads from: one engine, or those of several namespaces.
enum LaneSource {
    case one(LiveSource)
    case several(SourceGroup)

    /// - Parameter places: of one engine exactly one, without a new source.
    func apply(_ places: [SourceGroup.Place]) throws(Failure) {
        switch self {
        case .one(let source): if let place = places.first { try source.apply(place.rule) }
        case .several(let group): try group.set(places)
        }
    }

    /// Lets nothing more in. False where packets go on coming.
    func endIntake() throws(Failure) -> Bool {
        switch self {
        case .one(let source): try source.endIntake()
        case .several(let group): try group.endIntake()
        }
    }

    @inline(__always)
    func next(into frames: UnsafeMutableBufferPointer<CaptureFrame>) throws(Failure) -> Int {
        switch self {
        case .one(let source): try source.next(into: frames)
        case .several(let group): try group.next(into: frames)
        }
    }

    var statistics: KernelStatistics {
        switch self {
        case .one(let source): source.statistics
        case .several(let group): group.statistics
        }
    }
}
