/// Every column name that a filter may use besides the keys, by how its values are written.
/// Names: spec/tables `flow_log.*` and `flow_metrics.*`; the last lines of each list are columns of prints and screens.
package enum TableColumns {
    package static func kind(of name: String) -> FilterKey.Kind? { kinds[name] }

    /// All names, sorted.
    package static var names: [String] { kinds.keys.sorted() }

    private static let kinds: [String: FilterKey.Kind] = {
        var map: [String: FilterKey.Kind] = [:]
        for (kind, names) in lists {
            for name in names.split(whereSeparator: { $0 == " " || $0 == "\n" }) { map[String(name)] = kind }
        }
        return map
    }()

    private static let lists: [(FilterKey.Kind, String)] = [
        (
            .address,
            """
            address dst_ip ip4 ip4_0 ip4_1 ip6 ip6_0 ip6_1 ip_0 ip_1 nat_real_ip4_0 nat_real_ip4_1 outer_dst_ip
            outer_src_ip src_ip tunnel_rx_ip4_0 tunnel_rx_ip4_1 tunnel_rx_ip6_0 tunnel_rx_ip6_1 tunnel_tx_ip4_0
            tunnel_tx_ip4_1 tunnel_tx_ip6_0 tunnel_tx_ip6_1
            """
        ),
        (
            .bytes,
            """
            byte byte_rate byte_rx byte_tx bytes captured_request_byte captured_response_byte l3_byte_rx l3_byte_tx
            l4_byte_rx l4_byte_tx request_length response_length total_byte_rx total_byte_tx
            """
        ),
        (
            .closeType,
            """
            close_type
            """
        ),
        (
            .duration,
            """
            art_avg art_max art_sum cit_max cit_sum duration response_duration rrt_avg rrt_max rrt_p50 rrt_p95
            rrt_sum rtt rtt_client rtt_client_max rtt_client_sum rtt_max rtt_server rtt_server_max rtt_server_sum
            rtt_sum srt_avg srt_max srt_sum tls_rtt
            """
        ),
        (
            .flag,
            """
            is_async is_ipv4 is_key_service is_new_flow is_reversed is_tls tunnel_is_ipv4
            """
        ),
        (
            .number,
            """
            _id _tid acl_gids agent_id art_count auto_instance_id auto_instance_id_0 auto_instance_id_1
            auto_instance_type auto_instance_type_0 auto_instance_type_1 auto_service_id auto_service_id_0
            auto_service_id_1 auto_service_type auto_service_type_0 auto_service_type_1 az_id az_id_0 az_id_1
            biz_type capture_network_type_id capture_nic capture_nic_type cit_count client_ack_miss client_error
            client_establish_fail client_establish_other_rst client_half_close_flow client_port client_rst_flow
            client_source_port_reuse clients closed_flow direction_score epc_id_0 epc_id_1 error error_rate
            error_ratio eth_type fin_count flow_id flow_load flows gprocess_id gprocess_id_0 gprocess_id_1 host_id
            host_id_0 host_id_1 init_ipid l2_end_0 l2_end_1 l3_device_id l3_device_id_0 l3_device_id_1
            l3_device_type l3_device_type_0 l3_device_type_1 l3_end_0 l3_end_1 l3_epc_id l3_epc_id_0 l3_epc_id_1
            l7_client_error l7_error l7_parse_failed l7_request l7_response l7_server_error l7_server_timeout
            l7_timeout last_keepalive_ack last_keepalive_seq metrics_values nat_real_port_0 nat_real_port_1
            nat_source new_flow ooo_rx ooo_tx packet packet_rate packet_rx packet_tx packets pid pod_cluster_id
            pod_cluster_id_0 pod_cluster_id_1 pod_group_id pod_group_id_0 pod_group_id_1 pod_id pod_id_0 pod_id_1
            pod_node_id pod_node_id_0 pod_node_id_1 pod_ns_id pod_ns_id_0 pod_ns_id_1 process_id_0 process_id_1
            region_id region_id_0 region_id_1 req_tcp_seq request request_id request_rate resp_tcp_seq response
            response_code response_status retrans retrans_rx retrans_syn retrans_synack retrans_tx role rrt_count
            rtt_client_count rtt_count rtt_server_count server_error server_establish_fail
            server_establish_other_rst server_half_close_flow server_port server_queue_lack server_reset
            server_rst_flow server_syn_miss service_id service_id_0 service_id_1 signal_source span_kind
            sql_affected_rows srt_count status subnet_id subnet_id_0 subnet_id_1 syn_ack_seq syn_count syn_seq
            synack_count syscall_cap_seq_0 syscall_cap_seq_1 syscall_coroutine_0 syscall_coroutine_1
            syscall_thread_0 syscall_thread_1 syscall_trace_id_request syscall_trace_id_response tag_source
            tag_source_0 tag_source_1 tcp_establish_fail tcp_flags_bit_0 tcp_flags_bit_1 tcp_rst_fail tcp_timeout
            tcp_transfer_fail team_id timeout total_packet_rx total_packet_tx trace_id_index tunnel_rx_id
            tunnel_tier tunnel_tx_id tunnel_type type vlan zero_win zero_win_rx zero_win_tx
            """
        ),
        (
            .protocol,
            """
            l7_protocol protocol
            """
        ),
        (
            .text,
            """
            _trace_id_2 aggregated_flow_ids app_instance app_service attribute_names attribute_values
            auto_instance_0 auto_instance_1 auto_service_0 auto_service_1 biz_code biz_protocol biz_response_code
            biz_scenario close_type_str command end_time endpoint events http_proxy_client interface kind
            l7_protocol_str mac mac_0 mac_1 message metrics_names name observation_point observation_point_str
            parent_span_id pod_0 pod_1 process_kname_0 process_kname_1 province_0 province_1 request_domain
            request_resource request_type response_exception response_result response_status_str service span_id
            start_time state table tcp_flags time trace_id trace_ids tunnel tunnel_rx_mac_0 tunnel_rx_mac_1
            tunnel_tx_mac_0 tunnel_tx_mac_1 user version x_request_id_0 x_request_id_1
            """
        ),
    ]
}
