import Testing

@testable import Pipeline

struct ProgramOutputTests {
    @Test func printsOfPrograms() {
        #expect(ProgramOutput.text("printf", ["vnet0,52:54:00:01:02:03\\n"]) == "vnet0,52:54:00:01:02:03\n")
        #expect(ProgramOutput.text("/no/such/program") == "")
        #expect(ProgramOutput.text("sh", ["-c", "echo some; exit 1"]) == "", "it failed")
        let slow = ProgramOutput.text("sh", ["-c", "echo some; exec sleep 100"], timeoutMs: 50)
        #expect(slow == "", "it takes too long")
    }
}
