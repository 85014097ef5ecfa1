/// Over how many dispatchers packets are dealt out, each with a flow table of its own. Source: agent-flow.md 3, 5.1.
package struct FanoutSettings: Sendable, Equatable {
    /// 1 to 64.
    package var count = 1
    /// How the kernel deals; a replay always goes by flow.
    package var mode: UInt16 = 0

    package init() {}
}
