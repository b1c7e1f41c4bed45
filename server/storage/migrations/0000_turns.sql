CREATE TABLE `devices` (
	`id` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sessions` (
	`device_id` text NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_turn_at` integer NOT NULL,
	PRIMARY KEY(`device_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `sessions_by_time` ON `sessions` (`last_turn_at`);
--> statement-breakpoint
CREATE TABLE `turns` (
	`device_id` text NOT NULL,
	`id` text NOT NULL,
	`session_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`ended_at` integer,
	`prompt` text,
	`reply` text DEFAULT '' NOT NULL,
	`heard` text,
	`status` text NOT NULL,
	`sent_samples` integer DEFAULT 0 NOT NULL,
	`tiers` text DEFAULT '[]' NOT NULL,
	`ttft_ms` integer,
	`ttfa_ms` integer,
	`duration_ms` integer,
	`input_tokens` integer,
	`output_tokens` integer,
	PRIMARY KEY(`device_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `turns_by_session` ON `turns` (`device_id`, `session_id`, `created_at`);
--> statement-breakpoint
CREATE INDEX `turns_by_time` ON `turns` (`created_at`);
--> statement-breakpoint
CREATE TABLE `probes` (
	`id` integer PRIMARY KEY NOT NULL,
	`at` integer DEFAULT 0 NOT NULL
);
