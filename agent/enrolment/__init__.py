"""Enrolment: how a kiosk without a secret becomes a member of a fleet, and how it renews its certificate.

    authority                                kiosk
      invitation: root, broker's key,         →  by QR before the camera, file on a stick or the boot
      names, one-time token                      partition, SSH
                                              ←  request: certificate request for its own key, proof of the token
      certificate, pending or refused         →  answer: certificate, the broker's authority, root, bundles,
                                                 settings

| module | content |
|---|---|
| `invitation` | what is shown to a kiosk; pure |
| `exchange` | request and answer, and the proofs that bind them; pure |
| `authority` | whom to issue a certificate; its memory is a folder |
| `certificates` | keys, requests and certificates (PKCS #10, X.509) |
| `kiosk` | the kiosk's steps, each of which a power cut may repeat |
| `exchange_mqtt` | both sides over MQTT |
"""
