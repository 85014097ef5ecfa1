import Foundation
import Model

/// Bytes of questions and answers: a length of four bytes, most significant first, then JSON.
enum EngineFrame {
    /// Questions are small; what is longer comes from no client of ours.
    static let maxQuestion = 1 << 20
    static let maxAnswer = 64 << 20
    static let version = 1

    struct Asked: Codable {
        var version: Int
        var question: Question
    }

    struct Answered: Codable {
        var version: Int
        var answer: Answer
    }

    static func encode(_ question: Question) -> [UInt8]? {
        framed(Asked(version: version, question: question), limit: maxQuestion)
    }

    static func encode(_ answer: Answer) -> [UInt8]? {
        framed(Answered(version: version, answer: answer), limit: maxAnswer)
    }

    static func decodeQuestion(_ bytes: [UInt8]) -> Question? {
        guard let asked = try? decoder().decode(Asked.self, from: Data(bytes)), asked.version == version else {
            return nil
        }
        return asked.question
    }

    static func decodeAnswer(_ bytes: [UInt8]) -> Answer? {
        guard let answered = try? decoder().decode(Answered.self, from: Data(bytes)), answered.version == version
        else { return nil }
        return answered.answer
    }

    /// Length of the body; nil when it is out of bounds.
    static func length(of head: [UInt8], limit: Int) -> Int? {
        guard head.count == 4 else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        return length > 0 && length <= limit ? length : nil
    }

    private static func framed(_ value: some Encodable, limit: Int) -> [UInt8]? {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        guard let body = try? encoder.encode(value), body.count <= limit else { return nil }
        let length = UInt32(body.count)
        let head = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        return head + body
    }

    private static func decoder() -> JSONDecoder {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }
}
