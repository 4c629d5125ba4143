export * from "./gen/hookgate/openai/v1/webhook_events_pb.js";
export * from "./gen/hookgate/v1/admin_service_pb.js";
export * from "./gen/hookgate/v1/event_delivery_pb.js";
export * from "./gen/hookgate/v1/event_pb.js";
export * from "./gen/hookgate/v1/event_service_pb.js";
export * from "./gen/hookgate/v1/operator_events_pb.js";
export * from "./gen/hookgate/v1/subscription_service_pb.js";
