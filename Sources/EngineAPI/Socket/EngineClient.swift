import Glibc
package import Model
import Synchronization

/// An engine of another process. One connection, opened again after a fault; questions wait their turn.
package final class EngineClient: EngineView {
    package let address: EngineAddress
    private let timeoutSeconds: Int
    /// -1 = not connected.
    private let connection: Mutex<Int32>

    /// - Throws: when nobody answers there.
    package init(connectingTo address: EngineAddress, timeoutSeconds: Int = 10) throws(Failure) {
        self.address = address
        self.timeoutSeconds = timeoutSeconds
        connection = Mutex(try SocketIO.connect(to: address))
    }

    deinit {
        connection.withLock { if $0 >= 0 { close($0) } }
    }

    package func answer(_ question: Question) -> Answer {
        guard let bytes = EngineFrame.encode(question) else {
            return .failed(
                Refusal(.usage, what: "the question is too long", why: "it has more than 1 MiB", mend: "shorten it"))
        }
        return connection.withLock { connection in
            // A connection that broke while idle shows only now, so one more is tried.
            for attempt in 0..<2 {
                if connection < 0 {
                    do throws(Failure) {
                        connection = try SocketIO.connect(to: address)
                    } catch {
                        return .failed(Refusal(error))
                    }
                }
                switch exchange(bytes, on: connection) {
                case .success(let answer): return answer
                case .failure(let fault):
                    close(connection)
                    connection = -1
                    if attempt == 1 || fault == .timedOut { return .failed(lost(fault)) }
                }
            }
            return .failed(lost(.closed))
        }
    }

    private func exchange(_ bytes: [UInt8], on fd: Int32) -> Result<Answer, SocketIO.Fault> {
        let deadline = monotonicNs() + UInt64(timeoutSeconds) * 1_000_000_000
        do throws(SocketIO.Fault) {
            try SocketIO.write(fd, bytes, deadlineNs: deadline)
            let head = try SocketIO.read(fd, count: 4, deadlineNs: deadline)
            guard let length = EngineFrame.length(of: head, limit: EngineFrame.maxAnswer) else {
                return .failure(.failed(EBADMSG))
            }
            let body = try SocketIO.read(fd, count: length, deadlineNs: deadline)
            guard let answer = EngineFrame.decodeAnswer(body) else { return .failure(.failed(EBADMSG)) }
            return .success(answer)
        } catch {
            return .failure(error)
        }
    }

    private func lost(_ fault: SocketIO.Fault) -> Refusal {
        let why =
            switch fault {
            case .closed: "it closed the connection"
            case .timedOut: "it did not answer within \(timeoutSeconds) s"
            case .failed(EBADMSG): "its answer was not understood; is it the same release?"
            case .failed(let code): String(cString: strerror(code))
            }
        return Refusal(
            .unreachable, what: "the engine at \(address) does not answer", why: why,
            mend: "see whether it still runs with `dfctl status`")
    }
}
