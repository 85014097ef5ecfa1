import Model
import Samples
import Testing

@testable import Pipeline

/// Examples of RFC 7541 appendix C; cache-control and custom-key are read as tags.
@Suite struct HPACKTests {
    struct Bench {
        var decoder = HPACKDecoder()
        var settings = L7Settings()

        init() { settings.set(httpCustomFields: ["cache-control", "custom-key", "location", "set-cookie"]) }

        /// The fields that are read as `name=value`; nil: no header block.
        mutating func read(_ hex: String) -> [String]? {
            var (texts, text, at): ([String], [UInt8], Int) = ([], [], 0)
            let block = HPACKTests.bytes(hex)
            while true {
                switch decoder.next(block.span.bytes, &at, settings, into: &text) {
                case .end: return texts
                case .cut, .broken: return nil
                case .field(let field):
                    let value = text.span.bytes.text(field.value)
                    if field.isTag {
                        texts.append("\(text.span.bytes.text(field.name))=\(value)")
                    } else if field.header.isKept {
                        texts.append("\(field.header)=\(value)")
                    }
                }
            }
        }
    }

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).compactMap { at in
            let start = digits.index(digits.startIndex, offsetBy: at)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    /// C.3 plain, C.4 packed.
    @Test(arguments: [
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ])
    func requests(_ blocks: [String]) {
        var bench = Bench()
        #expect(bench.read(blocks[0]) == ["method=GET", "path=/", "authority=www.example.com"])
        #expect(
            bench.read(blocks[1])
                == ["method=GET", "path=/", "authority=www.example.com", "cache-control=no-cache"])
        #expect(
            bench.read(blocks[2])
                == ["method=GET", "path=/index.html", "authority=www.example.com", "custom-key=custom-value"])
    }

    /// C.6: a table of 256 bytes, from which the oldest fields leave.
    @Test func answersWithEviction() {
        var bench = Bench()
        #expect(bench.read("3fe1 01") == [])
        #expect(
            bench.read(
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718"
                    + "63c7 8f0b 97c8 e9ae 82ae 43d3")
                == ["status=302", "cache-control=private", "location=https://www.example.com"])
        #expect(
            bench.read("4883 640e ffc1 c0bf")
                == ["status=307", "cache-control=private", "location=https://www.example.com"])
        #expect(
            bench.read(
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7"
                    + "b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07")
                == [
                    "status=200", "cache-control=private", "location=https://www.example.com",
                    "set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                ])
    }

    @Test(arguments: [
        "80",  // index 0
        "ff ff ff ff ff 7f",  // a number beyond all bounds
        "41 02 77",  // the text is cut
        "44 82 ff ff",  // packed text that ends within a code
        "44 81 00",  // padding that is not of ones
        "44 84 ff ff ff fc",  // the end symbol within a text
        "7f",  // the number is cut
    ])
    func brokenBlocks(_ hex: String) {
        var bench = Bench()
        #expect(bench.read(hex) == nil)
    }

    @Test func unknownFieldsAreEmpty() {
        var bench = Bench()
        #expect(bench.read("82 ff 01 84 c5") == ["method=GET", "path=/"])
        // A name that was never seen, then a field that was.
        #expect(bench.read("7f 20 01 61 44 02 2f 62 bf be") == ["path=/b", "path=/b"])
    }

    /// Many texts of many lengths: the rings grow and wrap.
    @Test func longRun() {
        var bench = Bench()
        var model: [String] = []
        for number in 0..<3000 {
            let value = String(repeating: "v", count: number * 7 % 120) + "\(number)"
            let block = SampleHTTP2.field("custom-key", value)
            let hex = block.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(bench.read(hex) == ["custom-key=\(value)"])
            model.insert("custom-key=\(value)", at: 0)
            var size = 0
            model = Array(
                model.prefix {
                    size += $0.utf8.count - 1 + 32; return size <= 4096
                })
            let age = number % model.count
            let index = 62 + age
            let indexed = index < 127 ? [0x80 | index] : [0xff, index - 127]
            let told = indexed.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(bench.read(told) == [model[age]])
        }
    }
}
