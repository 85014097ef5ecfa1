import Capture

/// A batch of frames dealt out to several dispatchers, with the way back to the order of the capture.
final class DispatcherShares {
    private let splitter: FlowSplitter
    private let lanes: Int
    /// `Dispatcher.batch` places a lane.
    private let dealt: UnsafeMutablePointer<CaptureFrame>
    private let counts: UnsafeMutablePointer<Int>
    private let places: UnsafeMutablePointer<(lane: Int32, position: Int32)>

    init(lanes: Int, decapsulator: Decapsulator) {
        self.lanes = lanes
        splitter = FlowSplitter(lanes: lanes, decapsulator: decapsulator)
        dealt = .allocate(capacity: lanes * Dispatcher.batch)
        dealt.initialize(repeating: CaptureFrame(), count: lanes * Dispatcher.batch)
        counts = .allocate(capacity: lanes)
        counts.initialize(repeating: 0, count: lanes)
        places = .allocate(capacity: Dispatcher.batch)
        places.initialize(repeating: (0, 0), count: Dispatcher.batch)
    }

    deinit {
        dealt.deallocate()
        counts.deallocate()
        places.deallocate()
    }

    /// - Parameter frames: at most `Dispatcher.batch`.
    func deal(_ frames: UnsafeBufferPointer<CaptureFrame>) {
        precondition(frames.count <= Dispatcher.batch)
        for lane in 0..<lanes { counts[lane] = 0 }
        for index in 0..<frames.count {
            let lane = splitter.lane(of: frames[index])
            let position = counts[lane]
            dealt[lane * Dispatcher.batch + position] = frames[index]
            places[index] = (Int32(lane), Int32(position))
            counts[lane] = position + 1
        }
    }

    func count(_ lane: Int) -> Int { counts[lane] }

    func frames(_ lane: Int) -> UnsafeBufferPointer<CaptureFrame> {
        UnsafeBufferPointer(start: dealt + lane * Dispatcher.batch, count: counts[lane])
    }

    /// Lane of a frame of the batch, and its number there.
    func place(_ index: Int) -> (lane: Int, position: Int) { (Int(places[index].lane), Int(places[index].position)) }
}
