"""What a problem of the kiosk means for the guard, beside the sentence for the technician. Pure data."""

from __future__ import annotations

from agent.texts.text import Text, Texts

PROBLEMS: Texts = {
    "agent_stuck": Text("The kiosk hangs and starts again by itself.", "本机无响应，将自动重启。"),
    "part_hangs": Text("A part of the kiosk hangs.", "本机有部件无响应。"),
    "internal_error": Text("An internal error: tell the technician.", "内部错误，请通知技术人员。"),
    "safe_mode": Text("Everybody goes to the staff until a technician ends this.", "全部转人工，待技术人员解除。"),
    "config_not_in_force": Text("New settings cannot be used.", "新设置未生效。"),
    "device_down": Text("A device does not work.", "设备故障。"),
    "storage_full": Text("The disk is full.", "存储已满。"),
    "storage_not_writable": Text("The disk cannot be written.", "存储不可写入。"),
    "storage_locked": Text("Another program holds the events.", "事件存储被占用。"),
    "storage_error": Text("The disk fails: events wait in memory.", "存储故障，事件暂存内存。"),
    "tickets_not_kept": Text("Used tickets cannot be kept: to the staff.", "无法记录已用票，持票人转人工。"),
    "broker_not_connected": Text("Not connected: events wait.", "未连接，事件待上报。"),
    "state_lost": Text("A record is lost: look at the closed lanes.", "本机记录丢失，请查看已关闭的通道。"),
    "broker_terms": Text("The broker does not grant everything.", "消息服务器限制了部分功能。"),
    "events_rejected": Text("The broker refuses events: they are kept.", "事件被拒收，已保留。"),
    "subscription_denied": Text("No command and no list arrives.", "收不到指令和名单。"),
    "peers_not_heard": Text("Other kiosks are not heard.", "收不到其他终端的消息。"),
    "broker_certificate_undated": Text("The time is not known: events wait.", "时间不准，事件待上报。"),
    "receipts_overdue": Text("The central server confirms nothing.", "中心未确认事件。"),
    "receipt_mismatch": Text("A wrong receipt: tell the technician.", "回执异常，请通知技术人员。"),
    "certificate_expiring": Text("The kiosk's certificate ends soon.", "本机证书即将到期。"),
    "certificate_expired": Text("The kiosk's certificate has ended.", "本机证书已过期。"),
    "clock_unknown": Text("The time is not known: some codes go to the staff.", "时间不准，部分码转人工。"),
    "clock_suspect": Text("The time contradicts itself.", "时间异常。"),
    "keys_rejected": Text("New keys or lists cannot be used.", "新密钥或名单未生效。"),
    "policy_rejected": Text("New rules cannot be used.", "新规则未生效。"),
    "calibration_rejected": Text("A new calibration cannot be used.", "新校准未生效。"),
    "venue_rejected": Text("New rules of the place cannot be used.", "场所新规定未生效。"),
    "list_missing": Text("A list is missing: everybody goes to the staff.", "缺少名单，全部转人工。"),
    "list_expired": Text("A list is too old: everybody goes to the staff.", "名单过期，全部转人工。"),
    "list_stale": Text("A list is old.", "名单较旧。"),
    "list_fetch_failed": Text("A newer list cannot be fetched.", "新名单获取失败。"),
    "second_kiosk": Text("Another machine has this kiosk's name.", "另一台设备使用了本机的名称。"),
    "privacy_not_in_force": Text("Nothing personal can be kept.", "不能保存个人信息。"),
    "sealing_key_missing": Text("Nothing personal can be kept: use paper.", "不能保存个人信息，请用纸质登记。"),
    "root_invalid": Text("Nothing of the central server is taken.", "不再接收中心数据。"),
    "root_expired": Text("Nothing of the central server is taken.", "不再接收中心数据。"),
    "root_expiring": Text("The root of trust ends soon.", "信任根即将到期。"),
    "sensor_blocked": Text("Something stays before a sensor: clear it.", "传感器前有遮挡，请移开。"),
    "baseline_suspect": Text("The temperature limit is doubtful.", "测温阈值存疑。"),
}
"""Code of a problem → what it means at the gate."""

PARTS: Texts = {
    "scanner": Text("scanner", "扫码器"),
    "card": Text("card reader", "读卡器"),
    "thermometer": Text("thermometer", "测温仪"),
    "gate": Text("gate", "闸机"),
    "room": Text("room thermometer", "环境温度计"),
    "range": Text("range sensor", "测距传感器"),
    "lamp": Text("lamp", "指示灯"),
    "buzzer": Text("buzzer", "蜂鸣器"),
    "screen": Text("screen", "屏幕"),
    "clinical": Text("staff's thermometer", "人工体温计"),
    "button": Text("button", "按钮"),
    "location": Text("position", "定位"),
}
"""Role of a device → what the guard calls it."""
